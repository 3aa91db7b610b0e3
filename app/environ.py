"""Keys that the server adds to the WSGI environment of a request, in addition to those of PEP 3333."""

#: Key for the set of repeated headers, with their names in lower case. A WSGI server joins repeated headers with
#: commas. So without this set, a repeated header looks like a header with a comma.
REPEATED_HEADERS = "saga.repeated_headers"
