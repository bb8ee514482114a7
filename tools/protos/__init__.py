"""From protos/ to libs/contracts, and the checks between."""
