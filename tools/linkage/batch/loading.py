"""Brings what a batch joined into the patient index, as decisions that can be taken back.

The index is told pairs in groups (BatchLink), each with the job's model, the weight and its levels, which are kept as the
decision's evidence. What somebody parted is left to people, and what somebody ordained the index refuses itself. Loading
again, or going on after a kill, changes nothing that stands.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import duckdb
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2_grpc

from services.patient_index.rules.registering import registration_id_of

MERGED, THERE, LEFT_TO_PEOPLE, REFUSED, UNKNOWN = "merged", "there already", "left to people", "refused", "unknown"
# One group is sent while another is in the database.
CONCURRENT: Final = 2
# A request holds the locks of everybody whom it names until it commits: more pairs in it are hardly faster.
LINKS_AT_ONCE: Final = 250
_DONE: Final = "loaded"
_SECONDS: Final = 60.0
_OUTCOMES: Final = {decisions_pb2.LINK_OUTCOME_MERGED: MERGED, decisions_pb2.LINK_OUTCOME_TOGETHER: THERE}
_REASONS: Final = {"REGISTRATION_UNKNOWN": UNKNOWN, "HELD_APART": LEFT_TO_PEOPLE}
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

    The caller needs the scope registrations.link. Raises grpc.aio.AioRpcError for what is no answer about a link, such as
    a service that is away; what was loaded until then stays.
    """
    model = f"batch-{hashlib.sha256((directory / 'model.json').read_bytes()).hexdigest()[:12]}"
    persons = links(directory)
    mark = directory / _DONE
    done = int(mark.read_text(encoding="utf-8")) if mark.exists() else 0
    outcomes: Counter[str] = Counter()
    loader = _Loader(stub, metadata, model)
    parts = _grouped(persons[done:])
    while groups := list(islice(parts, CONCURRENT)):
        for told in await asyncio.gather(*map(loader.bring_together, groups)):
            outcomes.update(told)
        done += sum(map(len, groups))
        part_done = mark.with_suffix(".part")
        part_done.write_text(str(done), encoding="utf-8")
        part_done.replace(mark)
        progress(done, len(persons))
    return outcomes


def _grouped(persons: Sequence[Sequence[Link]]) -> Iterator[list[Sequence[Link]]]:
    """The persons in their order, so many at a time that their links fill a request."""
    group: list[Sequence[Link]] = []
    size = 0
    for person in persons:
        if group and size + len(person) > LINKS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(person)
        size += len(person)
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class _Loader:
    stub: "service_pb2_grpc.PatientIndexServiceAsyncStub"
    metadata: Metadata
    model: str

    async def bring_together(self, persons: Sequence[Sequence[Link]]) -> list[str]:
        """The outcome of each link of these persons, in their order."""
        told = [link for person in persons for link in person]
        outcomes: list[str] = []
        # One person of more links than a request takes is told in several.
        for start in range(0, len(told), LINKS_AT_ONCE):
            request = decisions_pb2.BatchLinkRequest(
                links=map(_message_of, told[start : start + LINKS_AT_ONCE]),
                model=self.model,
                reason="joined by a batch",
            )
            answer = await self.stub.BatchLink(request, metadata=self.metadata, timeout=_SECONDS)
            outcomes.extend(map(_outcome_of, answer.results))
        return outcomes


def _message_of(link: Link) -> decisions_pb2.PairLink:
    levels = {"given_name": link.given, "birth_date": link.birth}
    return decisions_pb2.PairLink(
        registration_id=link.registration_id,
        other_registration_id=link.other_id,
        weight=link.weight,
        fields=[resources_pb2.FieldWeight(field=field, level=level) for field, level in levels.items()],
    )


def _outcome_of(result: decisions_pb2.BatchLinkResult) -> str:
    refused = _REASONS.get(result.error_reason, f"{REFUSED}: {result.error_reason}")
    return _OUTCOMES.get(result.outcome, refused)
