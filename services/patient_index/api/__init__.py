"""The RPCs of the patient index: what is admitted, the transaction around each decision, one method per use-case."""
