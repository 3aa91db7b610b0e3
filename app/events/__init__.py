"""What others are told of sagas, and what they tell: CloudEvents over the broker that BROKER_URL names.

A move's event lies in the outbox from the moment the move is durable; `relay` publishes it, at least once and in order
for each saga. `intake` begins a saga for each event that a table asks for, once, and parks what it cannot take.
"""
