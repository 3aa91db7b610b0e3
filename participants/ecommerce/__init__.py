"""The storefront: a small shop in front of the orchestrator. A visitor buys, watches the saga and causes faults.

Read in this order: `routes` (shared by all pages), the pages (`shelf_page`, `order_page`, `switches_page`),
`orchestrator` and `other_participants` (HTTP clients of the shop's server), `narration` (a saga in plain words),
`switches` (the faults of each participant).
"""
