"""What a batch joined becomes decisions of the index."""

import csv
from collections import Counter, defaultdict

import duckdb
import pytest
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2

from services.patient_index.rules.registering import registration_id_of
from tests.services.patient_index.calling import an_index
from tools.linkage.batch import loading
from tools.linkage.batch.job import Job, run
from tools.thaibench import Ids, Level, Plan, write
from tools.thaibench.registering import registration_of


@pytest.fixture(scope="module")
def done(job, tmp_path_factory):
    """A small job without ids, so that the index has joined little by itself."""
    directory = tmp_path_factory.mktemp("loading")
    bench = write(Plan(160, 41, Ids.WITHOUT, Level.HARD), directory / "bench")
    asked = Job(bench.registrations, directory / "job", model=job.directory / "model.json")
    run(asked)
    return asked


async def register_all(index, job):
    with job.files[0].open(encoding="utf-8") as file:
        by_facility = defaultdict(list)
        for row in csv.DictReader(file):
            by_facility[row["facility"]].append(registration_of(row, local_number=row["hn"]))
    for facility, registrations in by_facility.items():
        request = service_pb2.BatchRegisterRequest(registrations=registrations)
        await index.stub.BatchRegister(request, **index.hospital(facility))


async def person_of(index, registration_id):
    request = service_pb2.GetRegistrationRequest(registration_id=registration_id)
    return (await index.stub.GetRegistration(request, **index.hospital())).registration.person_id


async def test_links_become_decisions_once_and_what_people_decided_stays(database_url, done):
    persons = loading.links(done.directory)
    assert len(persons) > 20
    async with an_index(database_url) as index:
        await register_all(index, done)
        metadata = index.hospital()["metadata"]
        # Of the pairs that the index did not join, one was parted by hand before, and one is ordained to be two people.
        open_links = []
        for links in persons:
            one, other = links[0].registration_id, links[0].other_id
            if len(links) == 1 and await person_of(index, one) != await person_of(index, other):
                open_links.append(links[0])
        assert len(open_links) >= 4
        parted, ordained, joined = open_links[0], open_links[1], open_links[2:]
        await index.link(parted.registration_id, await person_of(index, parted.other_id))
        await index.unlink(parted.registration_id)
        await index.stub.OverridePair(
            decisions_pb2.OverridePairRequest(
                registration_id=ordained.registration_id,
                other_registration_id=ordained.other_id,
                kind=resources_pb2.OVERRIDE_KIND_APART,
                reason="two people",
            ),
            **index.hospital(),
        )
        outcomes = await loading.load(index.stub, metadata, done.directory)
        (done.directory / "loaded").unlink()
        again = await loading.load(index.stub, metadata, done.directory)
        together = [
            await person_of(index, link.registration_id) == await person_of(index, link.other_id)
            for link in (parted, ordained, *joined)
        ]
        request = service_pb2.ListDecisionsRequest(registration_id=joined[0].registration_id)
        mine = list((await index.stub.ListDecisions(request, **index.hospital())).decisions)
        request = service_pb2.ListDecisionsRequest(registration_id=joined[0].other_id)
        mine += list((await index.stub.ListDecisions(request, **index.hospital())).decisions)
    assert together == [False, False, *([True] * len(joined))]
    assert outcomes[loading.MERGED] >= len(joined)
    assert outcomes[loading.LEFT_TO_PEOPLE] == 1
    assert outcomes["refused: OVERRIDDEN_APART"] == 1
    assert outcomes.total() == sum(map(len, persons))
    assert again[loading.MERGED] == 0
    assert again[loading.THERE] == outcomes[loading.MERGED] + outcomes[loading.THERE]
    merges = [one for one in mine if one.kind == resources_pb2.DECISION_KIND_MERGE]
    (merge,) = merges
    assert merge.model.startswith("batch-")
    assert merge.weight == pytest.approx(joined[0].weight)
    levels = {one.field: one.level for one in merge.evidence.fields}
    assert levels == {"given_name": joined[0].given, "birth_date": joined[0].birth}
    assert {merge.registration_id, merge.evidence.with_registration_id} == {
        joined[0].registration_id,
        joined[0].other_id,
    }


async def test_loading_goes_on_where_it_was_cut_off(database_url, done, monkeypatch):
    """Registrations that the index does not know are told, and a part that was loaded is not asked about again."""
    monkeypatch.setattr(loading, "LINKS_AT_ONCE", 3)
    persons = loading.links(done.directory)
    half = len(persons) // 2
    (done.directory / "loaded").write_text(str(half), encoding="utf-8")
    async with an_index(database_url) as index:
        seen = []
        outcomes = await loading.load(
            index.stub, index.hospital()["metadata"], done.directory, lambda now, of: seen.append((now, of))
        )
    assert outcomes == Counter({loading.UNKNOWN: sum(map(len, persons[half:]))})
    assert seen[-1] == (len(persons), len(persons))
    assert half < seen[0][0] < len(persons)
    assert (done.directory / "loaded").read_text(encoding="utf-8") == str(len(persons))


def test_registrations_are_known_by_facility_and_number(done):
    told = {link.registration_id for links in loading.links(done.directory) for link in links}
    rows = (
        duckdb.connect().execute(f"select facility, hn from read_csv('{done.files[0]}', all_varchar=true)").fetchall()
    )
    assert told <= {registration_id_of(facility, hn) for facility, hn in rows}
