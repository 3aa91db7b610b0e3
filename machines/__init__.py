"""One file per saga. A file here that holds a `Saga` is a saga of this service; nothing else has to know it.

Read in this order: `table` (the words a table is written in), `rows` (what follows from a table),
`machine` (the `transitions` machine over the rows), `checkout` (a whole saga).
"""
