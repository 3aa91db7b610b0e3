"""The reference participants that the orchestrator calls over HTTP, the storefront, the demo and the barrier.

Read in this order: `barrier` (protects a participant against calls that are lost, repeated or in the wrong order),
`stock` (uses all of the barrier), `flask_app` (the Flask app around each participant).

Names inside are English. French words are part of the wire format (URL paths, JSON keys, states) and of the tables.
"""
