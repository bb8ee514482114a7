"""The 43 files: file by file in the order in which their links resolve, chunk by chunk."""
