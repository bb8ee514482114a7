"""Files whose rows become FHIR resources of people who are registered, and corrections, which remove them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nhip.records.v1 import service_pb2

from services.exchange.formats.f43.reading import RawChunk
from services.exchange.formats.f43.step import Told, person_unknown
from services.exchange.formats.sending import Verdict, send_resources, to_wire, verdict
from services.exchange.job import Job
from services.exchange.mapping.correction import CorrectionError, correction
from services.exchange.mapping.files import ResourceFile, Visits
from services.exchange.mapping.pieces import About, Draft, stay_id, visit_id
from services.exchange.model import Effects, KnownVisit, Rejection
from services.exchange.store import people


@dataclass(slots=True)
class _PreparedResources:
    """Rows with their resources: `spans` are where the resources of a row begin and end, or why it has none."""

    job: Job
    place: str
    chunk: RawChunk
    is_removal: bool
    resources: list[service_pb2.ImportResource] = field(default_factory=list)
    spans: list[tuple[int, int] | Rejection] = field(default_factory=list)
    visits: list[KnownVisit] = field(default_factory=list)

    def add(self, drafts: Sequence[Draft]) -> None:
        """Adds the resources of the next row."""
        begin = len(self.resources)
        self.resources.extend(map(to_wire, drafts))
        self.spans.append((begin, len(self.resources)))

    async def send(self) -> Told:
        """Stores or removes them."""
        results = await send_resources(self.job, self.place, self.resources)
        verdicts: list[Verdict] = []
        for (line, row), span in zip(self.chunk.rows, self.spans, strict=True):
            if isinstance(span, Rejection):
                verdicts.append(span)
            else:
                verdicts.append(verdict(line, row, results[span[0] : span[1]], is_removal=self.is_removal))
        return Told(verdicts, Effects(visits=self.visits))


class ResourceStep:
    """A file of `RESOURCE_FILES`."""

    runs_ahead = True

    def __init__(self, job: Job, file: ResourceFile) -> None:
        self._job = job
        self._file = file
        # Visits of the chunk before, which may not be committed yet: two rows may claim one visit.
        self._just_told: dict[str, str] = {}

    async def prepare(self, chunk: RawChunk) -> _PreparedResources:
        """Finds people and visits, and maps the rows."""
        file, organization = self._file, self._job.organization_id
        at = file.columns
        pid_at = at["PID"]
        visit_at = at[file.visit.value] if file.visit else None
        visits: dict[str, str] = {}
        async with self._job.database.reading() as reader:
            pids = {row[pid_at] for _, row in chunk.rows}
            registrations = await people.registrations_by_pid(reader, organization, pids)
            if file.visit is not None and visit_at is not None:
                numbers = {row[visit_at] for _, row in chunk.rows} - {""}
                visits = await people.visits_by_number(reader, organization, file.visit.value, numbers)
                visits.update(self._just_told)
        return await asyncio.to_thread(self._map, chunk, pid_at, visit_at, registrations, visits)

    def _map(
        self,
        chunk: RawChunk,
        pid_at: int,
        visit_at: int | None,
        registrations: dict[str, str],
        visits: dict[str, str],
    ) -> _PreparedResources:
        file, organization = self._file, self._job.organization_id
        made = _PreparedResources(self._job, f"{file.name}/{chunk.last_line}", chunk, is_removal=False)
        encounter_id: Callable[[str, str], str] = visit_id if file.visit is Visits.SEQ else stay_id
        for line, row in chunk.rows:
            registration = registrations.get(row[pid_at])
            if registration is None:
                made.spans.append(person_unknown(line, row))
                continue
            number = row[visit_at] if visit_at is not None else ""
            owner = visits.get(number) if number else None
            fault = _visit_fault(file, owner, registration)
            if fault is not None:
                made.spans.append(Rejection(line, file.visit.value if file.visit else "", *fault, "|".join(row)))
                continue
            if file.makes_visit:
                visits[number] = registration
                made.visits.append(KnownVisit(file.visit.value if file.visit else "", number, registration))
            here = encounter_id(organization, number) if owner == registration else ""
            made.add(file.drafts(row, About(organization, registration, here)))
        self._just_told = {visit.number: visit.registration_id for visit in made.visits}
        return made


def _visit_fault(file: ResourceFile, owner: str | None, registration: str) -> tuple[str, str] | None:
    """Why a row does not fit the visit that it names, or None."""
    name = file.visit.value if file.visit else ""
    if owner is not None and owner != registration and (file.makes_visit or file.is_visit_required):
        return "VISIT_OF_ANOTHER", f"the {name} is a visit of another person"
    if owner is None and file.is_visit_required:
        source = "SERVICE" if file.visit is Visits.SEQ else "ADMISSION"
        return "VISIT_UNKNOWN", f"no sound row of {source}, here or earlier, has this {name}"
    return None


class CorrectionStep:
    """DATA_CORRECT."""

    runs_ahead = True

    def __init__(self, job: Job) -> None:
        self._job = job

    async def prepare(self, chunk: RawChunk) -> _PreparedResources:
        """Finds what the corrections name."""
        made = _PreparedResources(self._job, f"DATA_CORRECT/{chunk.last_line}", chunk, is_removal=True)
        for line, row in chunk.rows:
            try:
                made.add(correction(row, self._job.organization_id))
            except CorrectionError as error:
                made.spans.append(Rejection(line, error.column, error.reason, str(error), "|".join(row)))
        return made
