"""What must always be true of the stored data: one list, for tests, rehearsals and production.

`entries` is the list, `cold.sql` says of each entry how the rows at fault are found, `verify`
asks them all of a database, `screen` shows the answer.
"""
