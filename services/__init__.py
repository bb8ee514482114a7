"""The eight services. None imports another; they meet in protos and feeds."""
