"""Reference services that the orchestrator calls over HTTP, and the barrier any service can take from here.

Read in this order: `barrier` (what keeps a participant right when calls are lost, repeated or out of order),
`stock` (a participant that uses all of it), `service` (the Flask app around each participant).
"""
