"""Tests of the patient index."""
