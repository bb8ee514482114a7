"""Tests of the nhip command."""
