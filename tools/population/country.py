"""The synthetic country: made from a seed, written as the files that its hospitals send."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import orjson

from libs.f43.archive import IMPORT_ORDER
from libs.f43.writer import ArchiveWriter
from libs.thai.dates import BANGKOK
from libs.thai.names import PREFIXES
from tools.population import protagonist
from tools.population.archives import PlainArchive, Spool
from tools.population.bundles import Bundles
from tools.population.course import CourseMaker
from tools.population.dirt import SpoiledRow, spoil
from tools.population.f16_rows import FILES as F16_FILES
from tools.population.f16_rows import F16Rows
from tools.population.f43_rows import F43Rows
from tools.population.facilities import Facility, make_facilities
from tools.population.facts import Registration
from tools.population.people import Household, PeopleMaker
from tools.population.protagonist import IndexCitizen

# The health centre sends the visits of its last days as FHIR, those before as 43 files: no visit is sent twice.
FHIR_DAYS: Final = 14
# Hospital A claims the visits of its last days.
CLAIM_DAYS: Final = 30
_CENTRE: Final = 2
_NOON: Final = 12

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """An archive: whose it is, "f43", "f16" or "fhir", and how many rows (or bundles) each of its files has."""

    hcode: str
    format: str
    path: Path
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Written:
    """What `Population.write_all` wrote, in how many seconds."""

    files: tuple[WrittenFile, ...]
    spoiled: tuple[SpoiledRow, ...]
    people: int
    seconds: float

    def find(self, kind: str, hcode: str) -> WrittenFile:
        """The archive of that format and facility. Raises KeyError for none."""
        for file in self.files:
            if (file.format, file.hcode) == (kind, hcode):
                return file
        raise KeyError((kind, hcode))


@dataclass(frozen=True, slots=True)
class Population:
    """A population that is yet to be written. The same seed, size and day give the same bytes."""

    seed: int
    people: int
    today: date
    dirty: bool
    hospital_a: Facility
    hospital_b: Facility
    health_centre: Facility

    @classmethod
    def generate(cls, seed: int, people: int, today: date, *, dirty: bool = False) -> Self:
        """Describes a population of that many people, as of `today`. Raises ValueError for none.

        Nobody is made yet: people are made while they are written, household by household. `dirty` puts a few wrong
        rows into the 43 files.
        """
        if people < 1:
            message = "a population has at least one person"
            raise ValueError(message)
        return cls(seed, people, today, dirty, *make_facilities(seed, today))

    @property
    def facilities(self) -> tuple[Facility, Facility, Facility]:
        """Hospital A, hospital B, the health centre."""
        return self.hospital_a, self.hospital_b, self.health_centre

    @property
    def outbreak_district(self) -> str:
        """Code of the district of the dengue outbreak, where the index citizen lives."""
        return self.hospital_a.districts[1]

    @property
    def index_citizen(self) -> IndexCitizen:
        """The one whose journey is told: registered at hospital A, unknown to hospital B."""
        household = self._people().household(0, 0)
        registration = next(self._course().registrations(household))
        person = registration.person
        return IndexCitizen(
            person=person, citizen_id=person.citizen_id, prefix=person.prefix,
            prefix_th=PREFIXES[person.prefix].full, given_th=person.given_th, family_th=person.family_th,
            given_en=person.given_en, family_en=person.family_en, born=person.born, sex=person.sex,
            hn=registration.hn, pid=registration.pid, place_code=household.place_code, village=household.village,
            house_no=household.house_no, postcode=household.postcode, phone=person.phone, scheme=person.scheme,
            sub_scheme=person.sub_scheme, instype=person.instype, allergy=protagonist.ALLERGY,
            safe_drug=protagonist.SAFE_DRUG, chronic=protagonist.CHRONIC, medication=protagonist.MEDICATION,
        )  # fmt: skip

    def write_all(self, directory: Path, progress: Progress | None = None) -> Written:
        """Writes every archive into `directory`, which is made if it is not there; replaces those of the same name.

        Memory does not grow with the number of people. `progress` is told, household by household, how many are done.
        """
        began = time.perf_counter()
        directory.mkdir(parents=True, exist_ok=True)
        desk = _Desk(self, directory)
        try:
            done = 0
            course = self._course()
            for household in self._people().households(self.people):
                desk.take(household, list(course.registrations(household)))
                done += len(household.members)
                if progress is not None:
                    progress(done)
            files, spoiled = desk.finish()
        finally:
            desk.clear()
        return Written(files, spoiled, self.people, time.perf_counter() - began)

    def _people(self) -> PeopleMaker:
        return PeopleMaker(self.seed, self.today, self.facilities, self.outbreak_district)

    def _course(self) -> CourseMaker:
        return CourseMaker(self.seed, self.people, self.today, self.facilities, self.outbreak_district)


class _Desk:
    """Where all rows pass: each to the spool of its facility and format."""

    def __init__(self, population: Population, directory: Path) -> None:
        today = population.today
        self._population = population
        self._directory = directory
        self._work = directory / ".spool"
        shutil.rmtree(self._work, ignore_errors=True)
        self._made_at = datetime(today.year, today.month, today.day, _NOON, tzinfo=BANGKOK)
        self._stamp = f"{self._made_at:%Y%m%d%H%M%S}"
        self._writers = [F43Rows(facility, today) for facility in population.facilities]
        self._spools = [Spool(self._work / facility.hcode) for facility in population.facilities]
        self._claims = F16Rows(population.hospital_a)
        self._claim_spool = Spool(self._work / "claims")
        self._bundles = Bundles(population.health_centre, population.seed)
        centre = population.health_centre.hcode
        day = (today.year, today.month, today.day)
        self._day = day
        self._fhir = PlainArchive(directory / f"FHIR_{centre}_{self._stamp}.zip", day)
        self._bundle_count = 0
        for writer, spool in zip(self._writers, self._spools, strict=True):
            for file, line in writer.of_facility():
                spool.add(file, line)

    def take(self, household: Household, registrations: list[Registration]) -> None:
        """Takes the rows of one household."""
        local = [one for one in registrations if one.is_local]
        file, line = self._writers[household.home].of_household(household, local[0].pid)
        self._spools[household.home].add(file, line)
        today = self._population.today
        for registration in registrations:
            is_centre = registration.facility == _CENTRE
            until = today - timedelta(days=FHIR_DAYS) if is_centre else None
            spool = self._spools[registration.facility]
            for file, line in self._writers[registration.facility].of_registration(registration, until):
                spool.add(file, line)
            if is_centre:
                self._bundle(registration)
            elif registration.facility == 0:
                since = today - timedelta(days=CLAIM_DAYS)
                recent = [visit for visit in registration.visits if visit.at.date() >= since]
                for file, line in self._claims.of_registration(registration, recent):
                    self._claim_spool.add(file, line)

    def finish(self) -> tuple[tuple[WrittenFile, ...], tuple[SpoiledRow, ...]]:
        """Packs the archives."""
        spoiled: list[SpoiledRow] = []
        files = []
        for facility, spool in zip(self._population.facilities, self._spools, strict=True):
            rows: dict[str, int] = {}
            with ArchiveWriter(self._directory, facility.hcode, self._made_at) as archive:
                for file in IMPORT_ORDER:
                    lines = spool.lines(file)
                    if self._population.dirty:
                        lines = spoil(facility.hcode, file, lines, spoiled)
                    first = next(lines, None)
                    if first is not None:
                        rows[file] = archive.write_lines(file, _rejoined(first, lines))
            files.append(WrittenFile(facility.hcode, "f43", archive.path, rows))
        files.append(self._pack_claims())
        path = self._fhir.close()
        files.append(WrittenFile(self._population.health_centre.hcode, "fhir", path, {"Bundle": self._bundle_count}))
        return tuple(files), tuple(spoiled)

    def clear(self) -> None:
        """Takes away what was only on its way."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._fhir.discard()

    def _bundle(self, registration: Registration) -> None:
        since = self._population.today - timedelta(days=FHIR_DAYS)
        recent = [visit for visit in registration.visits if visit.at.date() >= since]
        if recent:
            self._bundle_count += 1
            bundle = self._bundles.of_registration(registration, recent)
            self._fhir.add(f"bundle-{self._bundle_count:07d}.json", orjson.dumps(bundle))

    def _pack_claims(self) -> WrittenFile:
        hcode = self._population.hospital_a.hcode
        archive = PlainArchive(self._directory / f"F16_{hcode}_{self._stamp}.zip", self._day)
        rows = {}
        for file, columns in F16_FILES.items():
            lines = _rejoined("|".join(columns), self._claim_spool.lines(file))
            rows[file] = archive.add_lines(f"{file}.txt", lines) - 1
        return WrittenFile(hcode, "f16", archive.close(), rows)


def _rejoined(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
