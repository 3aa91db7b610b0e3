"""`make demo`: the service and its participants on loopback, four checkouts to watch, and a check of the books.

The demo is a client: it starts processes and calls them over HTTP. It imports neither the service nor the participants.
"""
