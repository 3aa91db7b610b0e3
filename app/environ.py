"""Facts about a request that the server adds to its WSGI environment, beyond PEP 3333."""

#: Key for the names, in lower case, of the headers that came more than once. PEP 3333 joins their values with commas,
#: and a value may contain a comma, so the joined text does not show whether a header was repeated.
REPEATED_HEADERS = "saga.repeated_headers"
