"""What the journals of past sagas say about their table: odds, times, a better order, and fitting limits."""
