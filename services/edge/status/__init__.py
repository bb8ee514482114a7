"""The public page of how the platform does: which parts answer, and whether it does what it promises."""
