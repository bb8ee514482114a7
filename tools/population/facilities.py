"""The three facilities that send data, and who works there.

Their codes lie in 9xxxx, which no facility is given, and their names say that they are samples.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from libs.thai import places
from tools.population import naming
from tools.population.draws import Draws
from tools.population.numbers import citizen_id

_ROLES: Final = (
    # role, council of the 43 files, provider type, letter of the licence, how many at a hospital, at a health centre
    ("doctor", "01", "01", "ว", 4, 0),
    ("nurse", "02", "03", "พ", 4, 2),
    ("pharmacist", "03", "11", "ภ", 2, 0),
    ("medical-technologist", "06", "13", "ทน", 1, 0),
    ("public-health-officer", "", "05", "", 1, 2),
)
# Practitioners' numbers begin far above any that people of the population have.
_FIRST_PRACTITIONER: Final = 9_000_000_000
_OLDEST, _YOUNGEST = 60 * 365, 26 * 365


@dataclass(frozen=True, slots=True)
class Practitioner:
    """Someone who treats. `licence` is "" for those whose profession has no council."""

    provider: str
    licence: str
    council: str
    provider_type: str
    role: str
    prefix: str
    given_th: str
    family_th: str
    given_en: str
    family_en: str
    sex: str
    born: date
    citizen_id: str


@dataclass(frozen=True, slots=True)
class Facility:
    """Where people are treated. `districts` are those that its people live in, the first its own."""

    hcode: str
    hcode9: str
    kind: str
    name_th: str
    name_en: str
    place_code: str
    districts: tuple[str, ...]
    practitioners: tuple[Practitioner, ...]

    @property
    def region(self) -> int:
        """Health region, 1 to 13."""
        return places.health_region(self.place_code)

    @property
    def has_beds(self) -> bool:
        """True for a hospital."""
        return self.kind == "hospital"

    def practitioners_of(self, *roles: str) -> tuple[Practitioner, ...]:
        """Those who have one of the roles, in order."""
        return tuple(one for one in self.practitioners if one.role in roles)


_FACILITIES: Final = (
    ("99001", "AA0099001", "hospital", "โรงพยาบาลตัวอย่างเหนือ", "Sample Hospital North", "500107", ("5001", "5014", "5007")),
    ("99002", "AA0099002", "hospital", "โรงพยาบาลตัวอย่างอีสาน", "Sample Hospital Northeast", "400101", ("4001", "4005", "4010")),
    ("99003", "GA0099003", "health-centre", "รพ.สต.ตัวอย่างใต้", "Sample Health Centre South", "901101", ("9011", "9003")),
)  # fmt: skip


def make_facilities(seed: int, today: date) -> tuple[Facility, Facility, Facility]:
    """Hospital A, hospital B and the health centre, in health regions 1, 7 and 12."""
    made = []
    for number, (hcode, hcode9, kind, name_th, name_en, place, districts) in enumerate(_FACILITIES):
        staff = _staff(seed, number, kind, today)
        made.append(Facility(hcode, hcode9, kind, name_th, name_en, place, districts, staff))
    return made[0], made[1], made[2]


def _staff(seed: int, facility: int, kind: str, today: date) -> tuple[Practitioner, ...]:
    staff: list[Practitioner] = []
    for role, council, provider_type, letter, at_hospital, at_centre in _ROLES:
        for _ in range(at_hospital if kind == "hospital" else at_centre):
            number = len(staff)
            draws = Draws(f"{seed}/practitioner/{facility}/{number}")
            sex = "female" if draws.chance(0.65) else "male"
            given, family = naming.given_name(draws, sex), naming.family_name(draws)
            born = today - timedelta(days=draws.between(_YOUNGEST, _OLDEST))
            licence = f"{letter}{draws.between(10_000, 99_999)}" if letter else ""
            prefix = "003" if sex == "male" else "004"
            staff.append(
                Practitioner(
                    f"P{number + 1:04d}", licence, council, provider_type, role, prefix, given.thai, family.thai,
                    given.roman, family.roman, sex, born,
                    citizen_id(seed, _FIRST_PRACTITIONER + facility * 1000 + number),
                )
            )  # fmt: skip
    return tuple(staff)
