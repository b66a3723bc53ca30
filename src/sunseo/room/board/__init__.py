"""What everybody reads of a room, ready in memory: signed state, its streams, how often to poll."""
