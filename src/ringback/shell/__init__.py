"""The shell: the event loop, sockets, DNS, TLS, HTTP and timers around the pure machines."""
