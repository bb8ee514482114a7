"""Brings what a batch joined into the patient index, as decisions that can be taken back.

Each person of the batch is brought together by MergePersons, whose reason names the job's model, the weight of the pair and
its levels; the index adds what its own rules say of the two. What somebody unlinked or split is left to people, and what
somebody ordained the index refuses itself. Loading again, or going on after a kill, changes nothing that stands.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2, service_pb2_grpc

from services.patient_index.rules.registering import registration_id_of

MERGED, THERE, LEFT_TO_PEOPLE, REFUSED, UNKNOWN = "merged", "there already", "left to people", "refused", "unknown"
CONCURRENT: Final = 8
_DONE: Final = "loaded"
_PARTED: Final = (resources_pb2.DECISION_KIND_UNLINK, resources_pb2.DECISION_KIND_SPLIT)
_SECONDS: Final = 30.0
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """One registration that the batch put with another, and why."""

    registration_id: str
    other_id: str
    weight: float
    given: str
    birth: str


def links(directory: Path) -> list[list[Link]]:
    """For each person of a finished job with several registrations, the pairs that hold them together.

    Registrations are known to the index by facility and hospital number, as the job's files have them.
    """
    files = [told[0] for told in json.loads((directory / "job.json").read_text(encoding="utf-8"))["files"]]
    sent = " union all ".join(
        f"select record_id, facility, hn from read_csv('{path}', all_varchar=true, header=true)" for path in files
    )
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""with sent as ({sent})
            select person_id, a.facility, a.hn, b.facility, b.hn, weight, given_level, birth_level
            from '{directory / "links.parquet"}' as links join '{directory / "persons.parquet"}' as persons using (record_id)
            join sent as a on a.record_id = links.record_id join sent as b on b.record_id = links.other_id
            order by person_id, weight desc, links.record_id, links.other_id"""
        ).fetchall()
    found: dict[str, list[Link]] = {}
    for person_id, facility, hn, other_facility, other_hn, weight, given, birth in rows:
        link = Link(
            registration_id_of(facility, hn), registration_id_of(other_facility, other_hn), weight, given, birth
        )
        found.setdefault(person_id, []).append(link)
    return list(found.values())


async def load(
    stub: "service_pb2_grpc.PatientIndexServiceAsyncStub",
    metadata: Metadata,
    directory: Path,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Counter[str]:
    """Loads a finished job; says how many links had which outcome, of those that were not loaded before.

    The caller needs the scopes registrations.read and registrations.link. Raises grpc.aio.AioRpcError for what is no
    answer about a link, such as a service that is away; what was loaded until then stays.
    """
    model = hashlib.sha256((directory / "model.json").read_bytes()).hexdigest()[:12]
    persons = links(directory)
    mark = directory / _DONE
    done = int(mark.read_text(encoding="utf-8")) if mark.exists() else 0
    outcomes: Counter[str] = Counter()
    loader = _Loader(stub, metadata, model)
    for start in range(done, len(persons), CONCURRENT):
        part = persons[start : start + CONCURRENT]
        for told in await asyncio.gather(*map(loader.bring_together, part)):
            outcomes.update(told)
        part_done = mark.with_suffix(".part")
        part_done.write_text(str(start + len(part)), encoding="utf-8")
        part_done.replace(mark)
        progress(start + len(part), len(persons))
    return outcomes


@dataclass(frozen=True, slots=True)
class _Loader:
    stub: "service_pb2_grpc.PatientIndexServiceAsyncStub"
    metadata: Metadata
    model: str

    async def bring_together(self, person: Sequence[Link]) -> list[str]:
        """The outcome of each link of one person, in their order."""
        return [await self._join(link) for link in person]

    async def _join(self, link: Link) -> str:
        one, other = await self._person_of(link.registration_id), await self._person_of(link.other_id)
        if not one or not other:
            return UNKNOWN
        if one == other:
            return THERE
        if await self._was_parted(link.registration_id) or await self._was_parted(link.other_id):
            return LEFT_TO_PEOPLE
        reason = f"batch {self.model}: {link.weight:.2f} bits with {link.other_id}, given name {link.given}, birth {link.birth}"
        # The lower stays, so that both orders of a pair come to one person.
        into, coming = min(one, other), max(one, other)
        request = decisions_pb2.MergePersonsRequest(person_id=into, from_person_id=coming, reason=reason)
        try:
            await self.stub.MergePersons(request, metadata=self.metadata, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return f"{REFUSED}: {_reason(error)}"
        return MERGED

    async def _person_of(self, registration_id: str) -> str:
        request = service_pb2.GetRegistrationRequest(registration_id=registration_id)
        try:
            answer = await self.stub.GetRegistration(request, metadata=self.metadata, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return ""
        return str(answer.registration.person_id)

    async def _was_parted(self, registration_id: str) -> bool:
        request = service_pb2.ListDecisionsRequest(registration_id=registration_id)
        answer = await self.stub.ListDecisions(request, metadata=self.metadata, timeout=_SECONDS)
        return any(one.kind in _PARTED for one in answer.decisions)


def _reason(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "") if status else ""
