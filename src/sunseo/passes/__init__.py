"""What room, gate and crowds share: tokens of places and passes, their keys, when to ask again."""
