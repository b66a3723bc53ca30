"""Who comes, when, and what each of them does: visitors, from the first request to the last."""
