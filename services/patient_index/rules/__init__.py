"""What the index decides, as pure functions: no I/O, no clock, no chance."""
