"""Durable data: sagas, the journal of their moves, users, API keys and the audit trail."""
