"""The operator's pages: what is stuck, what is owed to whom, and which button is safe."""
