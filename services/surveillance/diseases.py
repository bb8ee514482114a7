"""The reportable diseases as data: which codes name them, how long an episode lasts, when the law wants a report.

`data/diseases.tsv` holds the groups of report 506 and their ICD-10 codes as the Department of Disease Control publishes
them (tables of November 2023; the union of its list and its ranges). Two categories stand there beyond its tables, for
sources that write three characters only: A97 as dengue fever and B05 as measles.
`data/deadlines.tsv` holds the hours within which a report is due, by period: within three hours for a dangerous
communicable disease, otherwise seven days (Communicable Disease Act B.E. 2558, section 31, and its notifications). Of
the 57 groups only COVID-19 has been on the list of dangerous diseases. `*` stands for every disease without a line of
its own. Both are replaced by a new file, without a change of code.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources

from services.surveillance.model import Disease

_EVERY = "*"


@dataclass(frozen=True, slots=True)
class Deadline:
    """Hours within which a case found in a period is to be reported; None leaves that side open."""

    disease_code: str
    starts_on: date | None
    ends_on: date | None
    hours: int

    def holds_on(self, day: date) -> bool:
        """True if the day lies in the period."""
        return (self.starts_on is None or self.starts_on <= day) and (self.ends_on is None or day <= self.ends_on)


class Catalogue:
    """The diseases by code, and the diseases that an ICD-10 code names."""

    def __init__(self, diseases: Iterable[Disease], deadlines: Iterable[Deadline]) -> None:
        self.diseases: Mapping[str, Disease] = {disease.code: disease for disease in diseases}
        self._deadlines = tuple(deadlines)
        self._by_prefix: dict[str, tuple[str, ...]] = {}
        for disease in self.diseases.values():
            for prefix in disease.icd10:
                self._by_prefix[prefix] = (*self._by_prefix.get(prefix, ()), disease.code)
        self._longest = max(map(len, self._by_prefix), default=0)

    def diseases_of(self, codes: Iterable[str]) -> dict[str, str]:
        """Disease code → the first ICD-10 code that names it. The longest prefix decides; it may name two diseases."""
        found: dict[str, str] = {}
        for code in codes:
            for length in range(min(len(code), self._longest), 2, -1):
                named = self._by_prefix.get(code[:length])
                if named is not None:
                    for disease_code in named:
                        found.setdefault(disease_code, code)
                    break
        return found

    def report_within_hours(self, disease_code: str, day: date) -> int:
        """Hours within which a case found on this day is to be reported."""
        for wanted in (disease_code, _EVERY):
            for deadline in self._deadlines:
                if deadline.disease_code == wanted and deadline.holds_on(day):
                    return deadline.hours
        raise LookupError(f"no deadline holds for disease {disease_code} on {day}")


@functools.cache
def packaged() -> Catalogue:
    """The catalogue that this package carries."""
    return Catalogue(map(_disease, _rows("diseases.tsv")), map(_deadline, _rows("deadlines.tsv")))


def _rows(name: str) -> list[list[str]]:
    text = resources.files(__package__).joinpath(f"data/{name}").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


def _disease(row: list[str]) -> Disease:
    code, name, name_th, icd10, episode_days, alert_from = row
    return Disease(code, name, name_th, tuple(icd10.split()), int(episode_days), int(alert_from))


def _deadline(row: list[str]) -> Deadline:
    code, starts_on, ends_on, hours = row
    return Deadline(
        code,
        date.fromisoformat(starts_on) if starts_on else None,
        date.fromisoformat(ends_on) if ends_on else None,
        int(hours),
    )
