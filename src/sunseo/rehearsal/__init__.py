"""A simulated crowd over real HTTP, with a verdict.

`arrivals` and `habits` say who comes and how they behave (pure, seeded). `drive` plays them in a
process of its own: `journey` is one visitor's way, with `shopping` inside and `tricks` for
cheaters, over `caller`, `door` and `wire`. What they were told goes into the `ledger`. `run` brings
server, `crew` and `observe` together, `verdict` compares the ledger with what is `stored`, and
`outcome` is what `terminal` and `report` tell.
"""
