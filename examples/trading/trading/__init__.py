"""A trading desk of five agents. Each knows the others by name only; the daemon starts, watches and connects them."""
