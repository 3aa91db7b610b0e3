"""The storefront: a small shop in front of the orchestrator, where one can watch an order and disturb it.

Read in this order: `pages` (the routes), `orchestrator` and `neighbours` (whom it talks to, always from the server),
`telling` (a saga in plain words), `switches` (what disturbs a participant).
"""
