"""What parts of the service cost: each file is a script that prints what it measures."""
