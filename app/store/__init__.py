"""What is durable: sagas and the journal of their moves."""
