"""Builds the parts of the service and connects them, part by part. `app.factory` puts them together."""
