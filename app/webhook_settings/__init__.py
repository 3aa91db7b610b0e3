"""The webhooks: where they are, what they receive, and which addresses may be called."""
