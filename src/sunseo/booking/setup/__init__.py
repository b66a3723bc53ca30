"""What operators do to sales: make, change, import, stop."""
