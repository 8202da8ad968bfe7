"""What the kernel says about links and routes, and what it is told. A message is a hint to look, never the news itself.

`links` reads interfaces and hears hints, `routes` reads and changes routes, `kernel` is both as the watcher sees them.
"""
