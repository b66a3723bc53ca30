"""The journal: one mechanism for events, freshness and order.

Every batch that changes a sale raises the sale's version, under the sale's lock, and writes one
row with all its events. Versions have no gap and stand in commit order within a sale.
"""
