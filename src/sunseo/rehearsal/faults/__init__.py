"""Faults in mid-rehearsal: planned from one line, done to our own server, told as incidents."""
