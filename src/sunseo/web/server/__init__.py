"""HTTP on a socket: the protocol in the worker's loop, the server, the worker processes."""
