"""How many a room lets in, and when: pure pacing, the leader that applies it, a site's health."""
