"""The `nhip` command: brings the platform up on one machine, looks after it, and feeds it.

`platform.Platform` is the whole platform as an object, for the command, for the journey and for tests.
"""
