"""From bytes to checked structs: bodies, queries, paths, headers."""
