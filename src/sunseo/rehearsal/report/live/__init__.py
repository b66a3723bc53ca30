"""The page on which a rehearsal can be watched while it runs: loopback only, no other host."""
