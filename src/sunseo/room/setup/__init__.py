"""What operators make and change: rooms, their settings and times, passes taken away."""
