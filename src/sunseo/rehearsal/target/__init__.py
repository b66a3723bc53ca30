"""The server that a rehearsal is sent to, and the site behind a room: started, reached, set up."""
