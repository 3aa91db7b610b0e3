"""One file per saga: each file here that holds a `Saga` adds that saga to the service, without any registration.

Read in this order: `table` (the columns of a table), `rows` (the states and transitions derived from a table),
`machine` (the `transitions` machine over those rows), `checkout` (a complete saga).
"""
