"""A simulated crowd over real HTTP, with a verdict.

`scenes` says what is played, `crowd` who comes and what each visitor does (pure, seeded, but for
the visits themselves), over `http`. A `driver` plays them in a process of its own. `target` is the
server they come to, `observe` what is seen of it all: what visitors were told, looks from beside,
what is stored. `verdict` holds these against each other, and `report` tells it. `run` brings them
together; `faults` breaks something meanwhile, `capacity` searches for the highest rate, `export`
hands the crowd to other tools.
"""
