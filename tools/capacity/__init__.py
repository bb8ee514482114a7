"""From what a visit and a row cost to the pods and databases of a region and of the country.

measuring  what they cost, on a platform of its own
model      the arithmetic
page       docs/operations/capacity.md
"""
