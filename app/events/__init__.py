"""Events as CloudEvents over the broker of BROKER_URL: published for moves of sagas, and received to start sagas.

The event of a move is in the outbox as soon as the move is durable. `relay` publishes the outbox at least once, and in
order for each saga. `intake` starts one saga for each event that a table names, and keeps an unusable message as a
dead letter.
"""
