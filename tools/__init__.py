"""What goes with the platform and is not part of it: the command, the population, benchmarks, checks."""
