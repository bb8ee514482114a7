"""Sends items under the ids that they have here, Patients after they are registered, and says what became of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nhip.patient_index.v1 import resources_pb2 as index_nouns
from nhip.records.v1 import service_pb2

from services.exchange.formats.ndjson.naming import Naming
from services.exchange.formats.ndjson.reading import Item, refused
from services.exchange.formats.sending import OUTCOMES, register_all
from services.exchange.job import Job
from services.exchange.mapping.bundle import BundleError, Entry, registration_of
from services.exchange.model import Outcome, Rejection, SourcePatient
from services.exchange.rules import waves
from services.exchange.store import inputs

REFERENCE_UNKNOWN = "REFERENCE_UNKNOWN"
_FIELD = re.compile(r"^(?:registrations?(?:\[[0-9]+\])?\.)?([a-z_]+)")
# Field of a registration → element of a Patient.
_ELEMENTS = {
    "local_number": "identifier",
    "identifiers": "identifier",
    "names": "name",
    "sex": "gender",
    "birth_date": "birthDate",
    "death_date": "deceased",
    "address": "address",
    "phone": "telecom",
    "nationality": "extension",
}


@dataclass(slots=True)
class Sent:
    """What became of items, in their order, and the Patients among them."""

    verdicts: list[Outcome | Rejection]
    patients: list[SourcePatient] = field(default_factory=list)


async def send(job: Job, naming: Naming, place: str, items: Sequence[Item]) -> Sent:
    """Sends items; sent again after a crash, they are answered as the first time."""
    ids, sent = await _placed(job, naming, place, items)
    aliases = await _aliases(job, naming, items, ids)
    left = [at for at, one in enumerate(ids) if one]
    # Of two lines with one id the later goes later.
    for number, wave in enumerate(waves(f"{items[at].type}/{ids[at]}" for at in left)):
        positions = [left[at] for at in wave]
        resources = [_to_wire(items[at], ids[at]) for at in positions]
        told = await job.neighbours.import_resources(
            job.sender, f"{place}/{number}", resources, aliases=aliases, base_url=naming.source
        )
        for at, result in zip(positions, told, strict=True):
            sent.verdicts[at] = _verdict(items[at], result)
    return sent


async def _placed(job: Job, naming: Naming, place: str, items: Sequence[Item]) -> tuple[list[str], Sent]:
    """The id of each item, empty for a Patient who is not registered; the verdicts say why."""
    ids = ["" if item.type == "Patient" else naming.id_of(item) for item in items]
    sent = Sent([Outcome.SKIPPED] * len(items))
    wanted: list[tuple[int, index_nouns.Registration]] = []
    for at, item in enumerate(items):
        if item.type == "Patient":
            try:
                wanted.append((at, _registration(item, job.organization_id)))
            except BundleError as error:
                sent.verdicts[at] = refused(
                    item.line.number, error.reason, "Patient.identifier", "required", str(error)
                )
    answers = await register_all(job, place, [registration for _, registration in wanted]) if wanted else []
    for (at, _), answer in zip(wanted, answers, strict=True):
        if answer.error_reason:
            sent.verdicts[at] = refused(
                items[at].line.number,
                answer.error_reason,
                _element(answer.error_field),
                "invalid",
                answer.error_message,
            )
            continue
        ids[at] = answer.registration_id
        if items[at].source_id:
            sent.patients.append(SourcePatient(naming.source, items[at].source_id, answer.registration_id))
    return ids, sent


def _registration(item: Item, organization_id: str) -> index_nouns.Registration:
    """Raises BundleError LOCAL_NUMBER_MISSING."""
    entry = Entry(0, "PUT", "Patient", "", item.parsed())
    return registration_of(entry, organization_id, takes_any_number=True)


def _element(name: str) -> str:
    match = _FIELD.match(name)
    element = _ELEMENTS.get(match[1], "") if match is not None else ""
    return f"Patient.{element}" if element else "Patient"


async def _aliases(job: Job, naming: Naming, items: Sequence[Item], ids: Sequence[str]) -> Mapping[str, str]:
    references = list(dict.fromkeys(text for item in items for text in item.references))
    wanted = {text.split("/")[1] for text in references if text.startswith("Patient/")}
    async with job.database.reading() as reader:
        patients = await inputs.patients(reader, job.organization_id, naming.source, wanted)
    for item, own in zip(items, ids, strict=True):
        if item.type == "Patient" and own and item.source_id:
            patients[item.source_id] = own
    return naming.aliases(references, patients)


def _to_wire(item: Item, own: str) -> service_pb2.ImportResource:
    made = service_pb2.ImportResource(type=item.type, id=own, body=item.data, is_renamed=True)
    if item.updated_at is not None:
        made.source_updated_at.FromDatetime(item.updated_at)
    return made


def _verdict(item: Item, result: service_pb2.ImportResult) -> Outcome | Rejection:
    outcome = OUTCOMES.get(result.outcome, Outcome.REJECTED)
    if outcome is not Outcome.REJECTED:
        return outcome
    message = result.error_message or "the platform refused the resource"
    issues = [(one.expression, one.code, one.description) for one in result.issues]
    return Rejection(
        item.line.number,
        result.error_expression,
        result.error_reason or "RESOURCE_REJECTED",
        message,
        item.key,
        issues or [(result.error_expression, "processing", message)],
    )
