"""The room's store on PostgreSQL: what lanes and the leader read and write."""
