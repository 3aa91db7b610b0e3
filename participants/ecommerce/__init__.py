"""The storefront: a small shop in front of the orchestrator, where one can watch an order and disturb it.

Read in this order: `routes` (what all pages share) and the pages themselves (`shelf_page`, `order_page`,
`switches_page`), `orchestrator` and `neighbours` (whom it talks to, always from the server), `telling` (a saga in plain
words), `switches` (what disturbs a participant).
"""
