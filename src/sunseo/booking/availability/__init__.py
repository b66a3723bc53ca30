"""What a sale has left, kept in memory by following the journal."""
