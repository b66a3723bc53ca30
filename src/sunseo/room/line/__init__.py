"""Who is in a room's line and who is in: commands, pure rules, service and endpoints."""
