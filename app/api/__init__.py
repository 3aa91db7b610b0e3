"""The HTTP API: /api/commande, /api/saga and /api/v1 have different JSON formats and call the same service."""
