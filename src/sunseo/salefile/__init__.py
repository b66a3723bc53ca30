"""A sale is a file: read with the place of every fault, compared with what is stored, applied."""
