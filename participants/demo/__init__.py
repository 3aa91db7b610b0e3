"""`make demo`: the service and its participants on loopback, four checkouts to watch, and the books that must agree.

It is a client like any other: it starts processes and speaks HTTP, and imports nothing of the service.
"""
