"""The waiting page: a line that works in every browser, with and without scripts."""
