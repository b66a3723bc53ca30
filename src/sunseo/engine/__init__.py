"""The engine: parts of a transaction on locked streams, applied in batches.

A *stream* is a row that stands for all that is changed under its lock: a sale, later an account.
A *part* is a capability's share in a batch: the streams that its commands need, the rows it reads
and writes, its rules. A *lane* gathers commands while a batch is under way; a *batch* locks all
its streams first, in one order, and the parts do the rest.
"""
