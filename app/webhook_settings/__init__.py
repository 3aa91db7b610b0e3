"""The settings of webhooks: their addresses, the events that they receive, and the networks that may be called."""
