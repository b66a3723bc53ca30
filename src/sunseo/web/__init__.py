"""HTTP at the edge: one endpoint table, problems, identity, limits, health and the API document."""
