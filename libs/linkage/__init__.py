"""Linking records by a model that is data: what is compared, in which levels, and what each level weighs.

One source, two readers: `scoring` weighs a pair in Python, `splink` writes the settings by which Splink weighs it in SQL.
A test holds the two to the same weight.
"""
