"""What a rehearsal plays: a scenario, read from TOML and checked whole."""
