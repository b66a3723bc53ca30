"""A rehearsal's crowd for the tools that teams have already: scripts for k6, Locust and JMeter."""
