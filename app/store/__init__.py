"""Durable data: sagas, the journal of their moves, users, API keys and the audit trail.

models           the tables of the database
database         the connection to SQLite or PostgreSQL, its types, and the SQL in which the two differ
database_errors  what an error of the database means
database_health  what /ready and /metrics read
sqlite_file      the file of a SQLite database: its check, and its lock
pool             the connections of one process
statements       the engine's own statements and connections
transactions     writes of several statements, and the repetition of a statement
instance         one running saga in memory
loading          a saga from its row and journal
sagas            the commits of a saga
commits          their SQL
group_commit     the commits of several sagas together
leases           which process holds which saga
tables           the tables that sagas use
queries, lists, attention, statistics    the sagas as people and metrics read them
retention        sagas that ended long ago
request_keys     the Idempotency-Keys of requests, and their own retention
outbox, dead_letters    events to publish, and incoming messages that were not accepted
deliveries       messages to webhooks
accounts, audit  users and API keys, and the record of what people and keys did
"""
