"""The 43 files, joined: people, houses, deaths, visits and what belongs to them."""

import json

import pytest

from libs.database.statements import counted_statements
from services.exchange.formats.f43 import reading
from services.exchange.formats.sending import to_wire
from services.exchange.mapping.pieces import Draft, visit_id
from services.exchange.model import Counts, State
from tests.services.exchange.files import HCODE, a_row, a_zip, diagnoses, people, visits
from tests.services.exchange.running import Exchange


def patients(exchange: Exchange) -> list[dict]:
    return [json.loads(body) for (kind, _), (_, body, _) in exchange.hood.resources.items() if kind == "Patient"]


async def test_a_person_is_composed_of_person_home_and_death_whatever_their_order_in_the_zip(
    exchange: Exchange,
) -> None:
    files = {"DEATH": [a_row("DEATH")], "PERSON": [a_row("PERSON")], "HOME": [a_row("HOME")]}
    finished = await exchange.take_in(a_zip(files))
    (patient,) = patients(exchange)
    assert (patient["deceasedDateTime"], patient["address"][0]["postalCode"]) == ("2024-03-01", "50200")
    assert {file: finished.counts(file) for file in files} == dict.fromkeys(files, Counts(created=1))
    assert [version for version, _, _ in exchange.hood.resources.values()] == [1], "filed once, not file by file"


async def test_an_address_or_death_that_comes_later_changes_the_person(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": [a_row("PERSON", TYPEAREA="4")]}))
    later = {"ADDRESS": [a_row("ADDRESS", ADDRESSTYPE="2")], "DEATH": [a_row("DEATH")]}
    finished = await exchange.take_in(a_zip(later))
    (patient,) = patients(exchange)
    assert patient["deceasedDateTime"] == "2024-03-01"
    assert patient["address"][0]["line"] == ["99", "หมู่ 2"]
    assert {file: finished.counts(file) for file in later} == dict.fromkeys(later, Counts(updated=1))


async def test_a_person_told_again_keeps_what_other_files_told(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": [a_row("PERSON")], "DEATH": [a_row("DEATH")]}))
    await exchange.take_in(a_zip({"PERSON": [a_row("PERSON", MOBILE="0899999999", D_UPDATE="20240401000000")]}))
    (patient,) = patients(exchange)
    assert (patient["deceasedDateTime"], patient["telecom"][0]["value"]) == ("2024-03-01", "0899999999")


async def test_of_two_rows_of_one_person_the_later_counts(exchange: Exchange) -> None:
    rows = [a_row("PERSON"), a_row("PERSON", NAME="สมศักดิ์", D_UPDATE="20240401000000")]
    finished = await exchange.take_in(a_zip({"PERSON": rows}))
    assert finished.counts("PERSON") == Counts(created=1, updated=1)
    assert patients(exchange)[0]["name"][0]["given"] == ["สมศักดิ์"]


async def test_a_pid_that_is_anothers_hn_is_not_the_same_person(exchange: Exchange) -> None:
    rows = [a_row("PERSON", PID="1", HN="2", CID=""), a_row("PERSON", PID="2", HN="", CID="")]
    await exchange.take_in(a_zip({"PERSON": rows}))
    assert len(exchange.hood.registrations) == 2


async def test_children_of_people_and_visits_of_an_earlier_zip_are_taken(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(2), "SERVICE": visits(2)}))
    finished = await exchange.take_in(a_zip({"DIAGNOSIS_OPD": diagnoses(2)}))
    assert finished.counts("DIAGNOSIS_OPD") == Counts(created=2)


async def test_a_diagnosis_without_its_visit_is_rejected_and_a_result_is_not(exchange: Exchange) -> None:
    files = {"PERSON": people(1), "DIAGNOSIS_OPD": diagnoses(1), "LABFU": [a_row("LABFU", SEQ="1")]}
    finished = await exchange.take_in(a_zip(files))
    assert finished.reasons == [("DIAGNOSIS_OPD", 2, "SEQ", "VISIT_UNKNOWN")]
    (body,) = (body for (kind, _), (_, body, _) in exchange.hood.resources.items() if kind == "Observation")
    assert b'"encounter"' not in (body or b"")


async def test_a_visit_of_another_person_is_neither_taken_over_nor_added_to(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 1)
    stolen = a_row("SERVICE", PID="2", SEQ="1")
    added = a_row("DIAGNOSIS_OPD", PID="2", SEQ="1")
    finished = await exchange.take_in(
        a_zip({"PERSON": people(2), "SERVICE": [*visits(1), stolen], "DIAGNOSIS_OPD": [added]})
    )
    assert finished.reasons == [
        ("SERVICE", 3, "SEQ", "VISIT_OF_ANOTHER"),
        ("DIAGNOSIS_OPD", 2, "SEQ", "VISIT_OF_ANOTHER"),
    ]


async def test_who_the_index_refuses_is_rejected_with_the_column(exchange: Exchange) -> None:
    exchange.hood.refused["660001"] = "CITIZEN_ID_INVALID"
    finished = await exchange.take_in(a_zip({"PERSON": people(2)}))
    assert finished.reasons == [("PERSON", 2, "CID", "CITIZEN_ID_INVALID")]
    assert finished.counts("PERSON") == Counts(created=1, rejected=1)


async def test_a_resource_that_records_refuses_rejects_its_row(exchange: Exchange) -> None:
    exchange.hood.refused[visit_id(HCODE, "2")] = "RESOURCE_INVALID"
    finished = await exchange.take_in(a_zip({"PERSON": people(3), "SERVICE": visits(3)}))
    assert finished.reasons == [("SERVICE", 3, "", "RESOURCE_INVALID")]
    assert finished.counts("SERVICE") == Counts(created=2, rejected=1)


async def test_what_makes_a_whole_call_fail_is_found_and_the_rest_is_stored(exchange: Exchange) -> None:
    exchange.hood.poisoned = {visit_id(HCODE, "5")}
    finished = await exchange.take_in(a_zip({"PERSON": people(8), "SERVICE": visits(8)}))
    assert finished.counts("SERVICE") == Counts(created=7, rejected=1)
    assert finished.reasons == [("SERVICE", 6, "", "INVALID_ARGUMENT")]


async def test_a_correction_removes_and_a_later_row_brings_back(exchange: Exchange) -> None:
    chronic = {"CHRONIC": [a_row("CHRONIC")]}
    await exchange.take_in(a_zip({"PERSON": people(1), **chronic}))
    key = '{"PID":"1","DATE_DIAG":"20150601","CHRONIC":"E119"}'
    correction = a_row("DATA_CORRECT", DATA_CORRECT=key, D_UPDATE="20240401000000")
    finished = await exchange.take_in(a_zip({"DATA_CORRECT": [correction]}))
    assert finished.counts("DATA_CORRECT") == Counts(updated=1)
    assert [body for (kind, _), (_, body, _) in exchange.hood.resources.items() if kind == "Condition"] == [None]
    back = await exchange.take_in(a_zip({"CHRONIC": [a_row("CHRONIC", D_UPDATE="20240501000000")]}))
    assert back.counts("CHRONIC") == Counts(updated=1)


async def test_rows_that_say_nothing_are_skipped(exchange: Exchange) -> None:
    alone = a_row("CARD", INSTYPE_NEW="9100")
    nothing = a_row("CHRONICFU", WEIGHT="0", HEIGHT="0", WAIST_CM="0", SBP="0", DBP="0")
    finished = await exchange.take_in(a_zip({"PERSON": people(1), "CARD": [alone], "CHRONICFU": [nothing]}))
    assert (finished.counts("CARD"), finished.counts("CHRONICFU")) == (Counts(skipped=1), Counts(skipped=1))


async def test_a_cancelled_import_goes_on_where_it_stopped(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.exchange.job import Job  # noqa: PLC0415
    from services.exchange.store import jobs, uploads  # noqa: PLC0415

    monkeypatch.setattr(reading, "CHUNK_ROWS", 4)
    data = a_zip({"PERSON": people(10), "SERVICE": visits(10)})
    import_id = await exchange.queue(data)
    original, commits = Job.commit, []

    async def commit(job: Job, chunk: object) -> None:
        commits.append(chunk)
        if len(commits) == 3:
            async with exchange.database.writing() as writer:
                found = await jobs.find(writer, import_id, HCODE)
                assert found is not None
                await jobs.cancel(writer, found, exchange.clock())
        await original(job, chunk)  # type: ignore[arg-type]  # a Chunk

    monkeypatch.setattr(Job, "commit", commit)
    await exchange.worker().run_once()
    stopped = await exchange.look(import_id)
    assert (stopped.state, stopped.found.rows_done) == (State.CANCELLED, 8)
    async with exchange.database.writing() as writer:
        await uploads.begin(writer, "again", HCODE, stopped.found.format, "a.zip", exchange.clock())
        await uploads.append(writer, "again", 0, data, exchange.clock())
        await uploads.discard(writer, "again", keep_bytes=True)
        await uploads.queue_again(writer, import_id, "again", "a.zip", exchange.clock(), anew=False)
    await exchange.worker().run_once()
    finished = await exchange.look(import_id)
    assert finished.state is State.SUCCEEDED
    assert (finished.counts("PERSON"), finished.counts("SERVICE")) == (Counts(created=10), Counts(created=10))


async def test_a_chunk_costs_a_handful_of_statements_however_many_rows(exchange: Exchange) -> None:
    async def statements(count: int) -> list[str]:
        files = {"PERSON": people(count), "SERVICE": visits(count), "DIAGNOSIS_OPD": diagnoses(count)}
        await exchange.queue(a_zip({**files, f"{count}.md": str(count)}))
        with counted_statements() as names:
            assert await exchange.worker().run_once()
        return names

    few, many = await statements(3), await statements(300)
    assert len(few) == len(many)
    assert many.count("progress.advance") == 6, "one commit of each chunk, and one to end each file"


def test_a_removal_carries_no_body() -> None:
    wire = to_wire(Draft("Condition", "1", None, 5))
    assert (wire.is_deleted, wire.body, wire.source_updated_at.seconds) == (True, b"", 5)
