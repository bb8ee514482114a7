"""HOME, PERSON, ADDRESS, DEATH and CARD: people, where they live, whether they live, and their rights."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nhip.claims.v1 import resources_pb2 as claim_nouns
from nhip.patient_index.v1 import resources_pb2
from nhip.patient_index.v1 import service_pb2 as index_pb2
from nhip.types.v1 import types_pb2

from libs.f43.schema import FILES
from services.exchange.formats.f43.reading import RawChunk
from services.exchange.formats.f43.step import Settled, Told, person_unknown
from services.exchange.formats.sending import Verdict, register_all, send_resources, to_wire, verdict
from services.exchange.job import Job
from services.exchange.mapping import person as mapping
from services.exchange.mapping.pieces import date_of, epoch_of
from services.exchange.mapping.right import coverage_of
from services.exchange.model import Effects, Home, KnownPerson, Outcome, PersonPart, Rejection
from services.exchange.rules import combined, local_number
from services.exchange.store import people

DEATH_PART = "D"
_OUTCOMES = {
    index_pb2.REGISTRATION_OUTCOME_CREATED: Outcome.CREATED,
    index_pb2.REGISTRATION_OUTCOME_UPDATED: Outcome.UPDATED,
    index_pb2.REGISTRATION_OUTCOME_UNCHANGED: Outcome.UNCHANGED,
}
# Where a field of a registration stands in PERSON.
_COLUMNS = {
    "identifiers": "CID",
    "birth_date": "BIRTH",
    "names": "NAME",
    "sex": "SEX",
    "nationality": "NATION",
    "phone": "MOBILE",
    "death_date": "DDISCHARGE",
    "local_number": "HN",
    "address": "HID",
}
_FIELD = re.compile(r"[.\[]")
_PERSON, _ADDRESS, _DEATH, _HOME, _CARD = (FILES[name].index for name in ("PERSON", "ADDRESS", "DEATH", "HOME", "CARD"))


@dataclass(slots=True)
class Registering:
    """People to be registered and filed, each for the rows that told of them."""

    job: Job
    place: str
    known: list[KnownPerson] = field(default_factory=list)
    registrations: list[resources_pb2.Registration] = field(default_factory=list)

    async def send(self) -> list[Outcome | Rejection]:
        """Registers them, files the Patients, and notes both outcomes in `known`; the verdicts, without line and row."""
        answers = await self._register()
        verdicts: list[Outcome | Rejection] = []
        patients = []
        for position, answer in enumerate(answers):
            if answer.error_reason:
                column = _COLUMNS.get(_FIELD.split(answer.error_field.removeprefix("registration."))[0], "")
                verdicts.append(Rejection(0, column, answer.error_reason, answer.error_message))
                continue
            outcome = _OUTCOMES.get(answer.outcome, Outcome.UNCHANGED)
            verdicts.append(outcome)
            self.known[position] = replace(self.known[position], registration_id=answer.registration_id)
            patients.append((position, to_wire(mapping.patient_of(self.registrations[position], self.known[position]))))
        results = await send_resources(self.job, f"{self.place}/patients", [patient for _, patient in patients])
        for (position, _), result in zip(patients, results, strict=True):
            filed = verdict(0, (), [result])
            registered = verdicts[position]
            if isinstance(filed, Outcome) and isinstance(registered, Outcome):
                filed = combined((registered, filed))
                self.known[position] = replace(self.known[position], outcome=filed)
            verdicts[position] = filed
        return verdicts

    async def _register(self) -> list[index_pb2.BatchRegisterResult]:
        """Of two rows of one person the later one is registered later."""
        return await register_all(self.job, self.place, self.registrations)


@dataclass(slots=True)
class _PreparedPersons:
    """Rows with the registration that each asks for, by its place in `registering`; or a verdict that stands already."""

    chunk: RawChunk
    registering: Registering
    rows: list[int | Verdict] = field(default_factory=list)

    async def send(self) -> Told:
        """Registers them."""
        told = await self.registering.send()
        verdicts: list[Verdict] = []
        for (line, row), place in zip(self.chunk.rows, self.rows, strict=True):
            # An Outcome is a number too, and is no place.
            if isinstance(place, Outcome | Rejection):
                verdicts.append(place)
                continue
            one = told[place]
            verdicts.append(replace(one, line=line, row="|".join(row)) if isinstance(one, Rejection) else one)
        registered = [
            known for known, one in zip(self.registering.known, told, strict=True) if isinstance(one, Outcome)
        ]
        return Told(verdicts, Effects(persons=registered))


class HomeStep:
    """HOME: houses, kept here for the people who live in them."""

    runs_ahead = False

    def __init__(self, job: Job) -> None:
        self._job = job

    async def prepare(self, chunk: RawChunk) -> Settled:
        """Compares with what is known."""
        hids = {row[_HOME["HID"]] for _, row in chunk.rows}
        async with self._job.database.reading() as reader:
            known = await people.homes_by_hid(reader, self._job.organization_id, hids)
        verdicts: list[Verdict] = []
        fresh = []
        for _, row in chunk.rows:
            address = mapping.home_address(row).SerializeToString(deterministic=True)
            home = Home(row[_HOME["HID"]], address, epoch_of(row[_HOME["D_UPDATE"]]))
            before = known.get(home.hid)
            if before is not None and (before.address == home.address or before.updated_at > home.updated_at):
                verdicts.append(Outcome.UNCHANGED)
                continue
            verdicts.append(Outcome.CREATED if before is None else Outcome.UPDATED)
            known[home.hid] = home
            fresh.append(home)
        return Settled(Told(verdicts, Effects(homes=fresh)))


class PersonStep:
    """PERSON: composed with house, address and death, registered, and filed as Patient."""

    # The number under which somebody is registered depends on who has it already.
    runs_ahead = False

    def __init__(self, job: Job) -> None:
        self._job = job

    async def prepare(self, chunk: RawChunk) -> _PreparedPersons:
        """Joins what belongs to the people."""
        job, organization = self._job, self._job.organization_id
        pids = {row[_PERSON["PID"]] for _, row in chunk.rows}
        hns = {row[_PERSON["HN"]] for _, row in chunk.rows} - {""}
        hids = {row[_PERSON["HID"]] for _, row in chunk.rows} - {""}
        async with job.database.reading() as reader:
            before = await people.persons_by_pid(reader, organization, pids)
            owners = await people.owners(reader, organization, pids | hns)
            homes = await people.homes_by_hid(reader, organization, hids)
            parts = await people.parts_by_pid(reader, job.found.import_id, pids)
        return await asyncio.to_thread(self._compose, chunk, before, owners, homes, parts)

    def _compose(
        self,
        chunk: RawChunk,
        before: dict[str, KnownPerson],
        owners: dict[str, str],
        homes: Mapping[str, Home],
        parts: Mapping[tuple[str, str], PersonPart],
    ) -> _PreparedPersons:
        job = self._job
        registering = Registering(job, f"PERSON/{chunk.last_line}")
        prepared = _PreparedPersons(chunk, registering)
        for _, row in chunk.rows:
            pid, hn = row[_PERSON["PID"]], row[_PERSON["HN"]]
            known = before.get(pid)
            number = local_number(pid, hn, known.local_number if known else "", owners)
            owners[number] = pid
            told = mapping.Places(
                _address_of(homes.get(row[_PERSON["HID"]])),
                _address_of(parts.get((pid, "1"))),
                _address_of(parts.get((pid, "2"))),
            )
            earlier = resources_pb2.Registration.FromString(known.registration) if known else None
            registration = mapping.registration_of(job.organization_id, row, number, told, earlier)
            death = parts.get((pid, DEATH_PART))
            if death is not None:
                registration.death_date = death.value.decode()
            person = KnownPerson(
                pid,
                known.registration_id if known else "",
                number,
                hn or (known.hn if known else ""),
                registration.SerializeToString(),
                job.found.import_id,
            )
            # A second row of the same person in this chunk builds on the first.
            before[pid] = person
            prepared.rows.append(len(registering.known))
            registering.known.append(person)
            registering.registrations.append(registration)
        return prepared


class LateStep:
    """ADDRESS and DEATH, after PERSON: what was joined there shares its verdict; for others the person is told anew."""

    runs_ahead = False

    def __init__(self, job: Job, file: str) -> None:
        self._job = job
        self._file = file
        self._columns = FILES[file].index

    async def prepare(self, chunk: RawChunk) -> _PreparedPersons:
        """Finds the people, and what is new of them."""
        job = self._job
        pids = {row[self._columns["PID"]] for _, row in chunk.rows}
        async with job.database.reading() as reader:
            known = await people.persons_by_pid(reader, job.organization_id, pids)
        registering = Registering(job, f"{self._file}/{chunk.last_line}")
        prepared = _PreparedPersons(chunk, registering)
        places: dict[str, int] = {}
        for line, row in chunk.rows:
            pid = row[self._columns["PID"]]
            person = known.get(pid)
            if person is None:
                prepared.rows.append(person_unknown(line, row))
            elif person.import_id == job.found.import_id:
                prepared.rows.append(person.outcome)
            else:
                place = places.setdefault(pid, len(registering.known))
                if place == len(registering.known):
                    registering.known.append(person)
                    registering.registrations.append(resources_pb2.Registration.FromString(person.registration))
                self._tell(registering.registrations[place], row)
                registering.known[place] = replace(
                    registering.known[place], registration=registering.registrations[place].SerializeToString()
                )
                prepared.rows.append(place)
        return prepared

    def _tell(self, registration: resources_pb2.Registration, row: Sequence[str]) -> None:
        updated = epoch_of(row[self._columns["D_UPDATE"]])
        registration.source_updated_at.seconds = max(registration.source_updated_at.seconds, updated)
        if self._file == "DEATH":
            registration.death_date = date_of(row[_DEATH["DDEATH"]]) or ""
        elif mapping.is_contact(row[_ADDRESS["ADDRESSTYPE"]]) or not registration.HasField("address"):
            registration.address.CopyFrom(mapping.person_address(row))


def parts_of(file: str, chunk: RawChunk) -> list[PersonPart]:
    """What ADDRESS or DEATH says, to be joined when PERSON is read."""
    at = FILES[file].index
    parts = []
    for _, row in chunk.rows:
        if file == "DEATH":
            part, value = DEATH_PART, (date_of(row[at["DDEATH"]]) or "").encode()
        else:
            part, value = row[at["ADDRESSTYPE"]], mapping.person_address(row).SerializeToString(deterministic=True)
        parts.append(PersonPart(row[at["PID"]], part, value, epoch_of(row[at["D_UPDATE"]])))
    return parts


@dataclass(slots=True)
class _PreparedCards:
    job: Job
    chunk: RawChunk
    coverages: list[claim_nouns.Coverage] = field(default_factory=list)
    rows: list[int | Verdict] = field(default_factory=list)

    async def send(self) -> Told:
        """Records the rights."""
        place = f"CARD/{self.chunk.last_line}"
        answers = await self.job.neighbours.create_coverages(self.job.sender, place, self.coverages)
        verdicts: list[Verdict] = []
        for (line, row), at in zip(self.chunk.rows, self.rows, strict=True):
            if isinstance(at, Outcome | Rejection):
                verdicts.append(at)
            elif answers[at].error_reason:
                reason, message = answers[at].error_reason, answers[at].error_message
                verdicts.append(Rejection(line, "", reason, message, "|".join(row)))
            else:
                verdicts.append(Outcome.CREATED if answers[at].is_created else Outcome.UNCHANGED)
        return Told(verdicts)


class CardStep:
    """CARD: rights go to claims. Who pays alone has none, and their row says nothing new."""

    runs_ahead = True

    def __init__(self, job: Job) -> None:
        self._job = job

    async def prepare(self, chunk: RawChunk) -> _PreparedCards:
        """Finds the people."""
        pids = {row[_CARD["PID"]] for _, row in chunk.rows}
        async with self._job.database.reading() as reader:
            known = await people.registrations_by_pid(reader, self._job.organization_id, pids)
        prepared = _PreparedCards(self._job, chunk)
        for line, row in chunk.rows:
            registration = known.get(row[_CARD["PID"]])
            if registration is None:
                prepared.rows.append(person_unknown(line, row))
                continue
            coverage = coverage_of(row, registration)
            if coverage is None:
                prepared.rows.append(Outcome.SKIPPED)
                continue
            prepared.rows.append(len(prepared.coverages))
            prepared.coverages.append(coverage)
        return prepared


def _address_of(stored: Home | PersonPart | None) -> types_pb2.Address | None:
    if stored is None:
        return None
    return types_pb2.Address.FromString(stored.address if isinstance(stored, Home) else stored.value)
