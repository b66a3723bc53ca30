"""The waiting room: a fair line that costs one number.

The visitor keeps a signed place; the server keeps one hot row a room. Rules and pacing are pure,
joins and passes are decided in batches by the room's lane, and one state document, the same for
everybody, says who is being served.
"""
