"""A synthetic Thai population and the files that hospitals send about it.

Seeded and deterministic: the same seed, size and day give the same rows on any machine, and the same bytes wherever
zlib is the same. Nobody in it exists; citizen ids begin with 9, which the registry does not issue, and facilities have
codes that none is given. It holds what a test or a demonstration needs: households, chronic and seasonal disease, an
outbreak of dengue in one district, the same person written in two ways at two hospitals, and one citizen whose history
is known beforehand.

    python -m tools.population --seed 1 --people 500 --out DIRECTORY [--dirty]
"""

from tools.population.country import Population, Written, WrittenFile
from tools.population.dirt import SpoiledRow
from tools.population.facilities import Facility, Practitioner
from tools.population.protagonist import IndexCitizen

__all__ = ["Facility", "IndexCitizen", "Population", "Practitioner", "SpoiledRow", "Written", "WrittenFile"]
