"""How much a server stands: the highest arrival rate that holds the bounds, found by search.

`search` says which rate to try next, `probe` tries it on a real server, `binding` reads from the
looks what was used up, and `advice` what to set, with Little's law. All but `probe` are pure.
"""
