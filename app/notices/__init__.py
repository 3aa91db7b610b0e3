"""Messages to people, without Prometheus: one for each new cause, each outage, and too many stuck sagas."""
