"""What the server says of a request in its WSGI environment beside the variables of PEP 3333."""

#: The names, in lower case, of the headers that came more than once. PEP 3333 has one text for each name, with commas
#: between the values, and a comma may be part of a value: from that text alone nobody can tell the two apart.
REPEATED_HEADERS = "saga.repeated_headers"
