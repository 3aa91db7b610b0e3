"""Running sagas: `engine` is the loop, `runner` the threads around it, `service` what the API asks of them."""
