"""The journal: one mechanism for events, freshness and order.

Every batch that changes a stream (a sale; later an account) raises the stream's version, under the
stream's lock, and writes one row with all its events. Versions have no gap and stand in commit
order within a stream.
"""
