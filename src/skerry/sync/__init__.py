"""The protocol over a bad WAN, sans-I/O: events in, commands out. No sockets or timers, no idea what documents mean."""
