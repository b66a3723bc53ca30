"""What is seen of a run: what visitors were told, looks from beside, and what is stored."""
