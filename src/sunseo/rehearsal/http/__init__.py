"""HTTP as visitors use it: one request with its tries, over connections that many share."""
