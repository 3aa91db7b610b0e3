"""One file per saga: each file here that holds a `Saga` adds that saga to the service, without any registration.

Read in this order: `table` (the columns of a table), `transitions` (the states and transitions derived from a table),
`machine` (the `transitions` machine over them), `progress` (what an outcome or a request does to a saga), `history`
(what a journal says), `checkout` (a complete saga).
"""
