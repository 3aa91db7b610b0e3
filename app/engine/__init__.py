"""Run sagas: `engine` is the loop, `runner` has the threads around it, `service` answers the API's requests."""
