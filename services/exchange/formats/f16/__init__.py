"""The 16 claim files: rows are held until their visit is whole, then each visit is one claim."""
