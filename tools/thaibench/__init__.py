"""A benchmark of linking registrations of people treated in Thailand.

    nhip linkage thaibench --size 100000 --seed 1001 --ids without --level standard --out DIRECTORY

What is in it, at which rates and why stands in `rates`; how people are named in `words`; what happens in their lives in
`lives`; how it is written down in `sending` and `slips`. Nobody in it exists; citizen ids begin with 9.
"""

from tools.thaibench.rates import HARD, STANDARD, Ids, Level, Rates, rates_of
from tools.thaibench.writing import PART, Plan, WrittenBench, write

__all__ = ["HARD", "PART", "STANDARD", "Ids", "Level", "Plan", "Rates", "WrittenBench", "rates_of", "write"]
