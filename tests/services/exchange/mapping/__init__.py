"""Tests of what rows mean."""
