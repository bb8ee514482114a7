"""Every SQL statement of the index: loading a world, writing what it became, reading for answers."""
