"""A synthetic population and the files about it."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.f43.archive import Archive, parse_name
from libs.f43.checks import compile_check
from libs.f43.reader import RowError, tables
from libs.thai import citizen_id, identifiers, names, places
from tools.population import Population, Written
from tools.population.f16_rows import FILES as F16_FILES

TODAY = date(2026, 11, 23)
ROOT = Path(__file__).resolve().parents[3]
Rows = dict[str, list[dict[str, str]]]


def read(path: Path) -> tuple[Rows, dict[str, list[RowError]], list[tuple[str, int, str, str]]]:
    """Rows, rows that could not be read, and faults (file, line, column, reason) of a 43-file zip."""
    rows: Rows = {}
    broken: dict[str, list[RowError]] = defaultdict(list)
    faults = []
    with Archive(path) as archive:
        assert not archive.strangers
        for table in tables(archive):
            check = compile_check(table.spec)
            assert table.missing == table.unknown == ()
            found = rows.setdefault(table.spec.name, [])
            for line, row in table.rows(broken[table.spec.name].append):
                found.append(dict(zip(table.spec.names, row, strict=True)))
                faults.extend((table.spec.name, line, fault.column, fault.reason) for fault in check(row))
    return rows, broken, faults


def digests(written: Written) -> dict[str, str]:
    return {file.path.name: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in written.files}


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.generate(seed=7, people=600, today=TODAY)


@pytest.fixture(scope="module")
def written(population, tmp_path_factory) -> Written:
    return population.write_all(tmp_path_factory.mktemp("population"))


@pytest.fixture(scope="module")
def files(population, written) -> dict[str, Rows]:
    return {facility.hcode: read(written.find("f43", facility.hcode).path)[0] for facility in population.facilities}


def assert_is_whole(rows: Rows) -> None:
    """Keys are unique, and whatever refers to something refers to what is there."""
    people = {row["PID"]: row for row in rows["PERSON"]}
    visits = {(row["PID"], row["SEQ"]): row for row in rows.get("SERVICE", [])}
    stays = {(row["PID"], row["AN"]): row for row in rows.get("ADMISSION", [])}
    providers = {row["PROVIDER"] for row in rows["PROVIDER"]}
    homes = {row["HID"] for row in rows.get("HOME", [])}
    for file, found in rows.items():
        for row in found:
            if "PID" in row:
                assert people[row["PID"]]["CID"] == row["CID"]
            if row.get("SEQ"):
                visit = visits[row["PID"], row["SEQ"]]
                assert row.get("DATE_SERV", visit["DATE_SERV"]) == visit["DATE_SERV"]
            if row.get("AN"):
                stay = stays[row["PID"], row["AN"]]
                assert row["DATETIME_ADMIT"] == stay["DATETIME_ADMIT"]
            if file != "PROVIDER":
                assert row.get("PROVIDER", "") in {*providers, ""}
            if file == "PERSON":
                assert row["HID"] in {*homes, ""}
    for principal in ("DIAGNOSIS_OPD", "DIAGNOSIS_IPD"):
        counted = Counter(
            (row["PID"], row.get("SEQ"), row.get("AN")) for row in rows.get(principal, []) if row["DIAGTYPE"] == "1"
        )
        assert all(count == 1 for count in counted.values())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), people=st.integers(1, 90), day=st.dates(date(2024, 1, 1), date(2027, 12, 31)))
def test_every_row_conforms_and_every_link_holds(tmp_path_factory, seed, people, day):
    population = Population.generate(seed=seed, people=people, today=day)
    written = population.write_all(tmp_path_factory.mktemp("any"))
    counted = 0
    for facility in population.facilities:
        file = written.find("f43", facility.hcode)
        rows, broken, faults = read(file.path)
        assert not faults
        assert not any(broken.values())
        if "PERSON" in rows:
            assert_is_whole(rows)
            assert {name: len(found) for name, found in rows.items()} == file.rows
            counted += sum(row["TYPEAREA"] == "1" for row in rows["PERSON"])
            latest = max((row["DATE_SERV"] for row in rows.get("SERVICE", [])), default="")
            assert latest < f"{day:%Y%m%d}"
    assert counted == people
    assert not written.spoiled


def test_keys_are_unique(files):
    with_keys = {"PERSON": ("PID",), "SERVICE": ("SEQ",), "ADMISSION": ("AN",), "LABFU": ("PID", "DATE_SERV", "LABTEST"),
                 "DRUG_OPD": ("SEQ", "DIDSTD"), "DIAGNOSIS_OPD": ("SEQ", "DIAGCODE"), "EPI": ("PID", "DATE_SERV", "VACCINETYPE"),
                 "CHARGE_OPD": ("SEQ", "CHARGEITEM"), "DRUGALLERGY": ("PID", "DRUGALLERGY"), "CHRONIC": ("PID", "CHRONIC")}  # fmt: skip  # noqa: E501 - a table
    for rows in files.values():
        for file, columns in with_keys.items():
            keys = [tuple(row[column] for column in columns) for row in rows.get(file, [])]
            assert len(set(keys)) == len(keys)


def test_all_people_are_there_once(population, files):
    local = [row for rows in files.values() for row in rows["PERSON"] if row["TYPEAREA"] == "1"]
    assert len(local) == population.people
    ids = [row["CID"] for row in local if row["CID"]]
    assert len(set(ids)) == len(ids) > 0.9 * len(local)
    assert all(citizen_id.is_synthetic(number) for number in ids)


def test_there_are_people_of_every_kind(files):
    people = [row for rows in files.values() for row in rows["PERSON"]]
    assert {"001", "002", "003", "004", "005"} <= {row["PRENAME"] for row in people}
    assert any(row["NATION"] != "099" and row["PASSPORT"] for row in people)
    assert any(not row["CID"] and not row["PASSPORT"] for row in people)
    ages = Counter(int(row["BIRTH"][:4]) // 20 for row in people)
    assert len(ages) >= 4
    assert {"0100", "4200"} <= {row["INSTYPE_NEW"] for rows in files.values() for row in rows["CARD"]}


def test_some_are_registered_at_two_hospitals_and_written_in_two_ways(files):
    by_id = {row["CID"]: row for row in files["99001"]["PERSON"] + files["99003"]["PERSON"] if row["CID"]}
    again = [(by_id[row["CID"]], row) for row in files["99002"]["PERSON"] if row["CID"] in by_id]
    assert again
    differing = ("PRENAME", "NAME", "LNAME", "BIRTH", "MOBILE")
    assert any(one[column] != other[column] for one, other in again for column in differing)


def test_twins_share_a_birthday_and_a_mother(tmp_path):
    written = Population.generate(seed=3, people=3000, today=TODAY).write_all(tmp_path)
    rows, _, _ = read(written.find("f43", "99001").path)
    born = Counter((row["BIRTH"], row["MOTHER"]) for row in rows["PERSON"] if row["MOTHER"])
    assert max(born.values()) == 2


def test_homes_lie_in_real_places_of_three_health_regions(population, files):
    regions = set()
    for rows in files.values():
        codes = {row["CHANGWAT"] + row["AMPUR"] + row["TAMBON"] for row in rows["HOME"]}
        assert all(places.require(code).is_current for code in codes)
        regions.add({places.health_region(code) for code in codes}.pop())
    assert len(regions) == 3
    assert regions == {facility.region for facility in population.facilities}


def test_nobody_is_given_what_they_are_allergic_to(files):
    for rows in files.values():
        allergic = {(row["PID"], row["DRUGALLERGY"]) for row in rows["DRUGALLERGY"]}
        assert allergic
        given_drugs = {(row["PID"], row["DIDSTD"]) for name in ("DRUG_OPD", "DRUG_IPD") for row in rows.get(name, [])}
        assert not allergic & given_drugs


def test_dengue_breaks_out_in_one_district_in_the_last_weeks(population, files):
    since = f"{TODAY - timedelta(days=28):%Y%m%d}"
    recent = [
        row["ILLCHANGWAT"] + row["ILLAMPUR"]
        for rows in files.values()
        for row in rows["SURVEILLANCE"]
        if row["DIAGCODE"].startswith("A97") and row["DATE_SERV"] >= since
    ]
    district, count = Counter(recent).most_common(1)[0]
    assert district == population.outbreak_district == population.index_citizen.district
    assert count >= 5
    assert count > len(recent) / 2


def test_the_index_citizen_is_known_at_a_and_not_at_b(population, files):
    citizen = population.index_citizen
    assert citizen.citizen_id not in {row["CID"] for row in files["99002"]["PERSON"] + files["99003"]["PERSON"]}
    (person,) = [row for row in files["99001"]["PERSON"] if row["CID"] == citizen.citizen_id]
    assert (person["HN"], person["PID"], person["NAME"], person["LNAME"]) == (
        citizen.hn,
        citizen.pid,
        citizen.given_th,
        citizen.family_th,
    )
    assert person["BIRTH"] == f"{citizen.born:%Y%m%d}"
    assert person["SEX"] == {"male": "1", "female": "2"}[citizen.sex]
    assert names.PREFIXES[citizen.prefix].full == citizen.prefix_th


def test_the_index_citizen_has_all_that_the_journey_needs(population, files):
    citizen = population.index_citizen
    own = {file: [row for row in rows if row.get("PID") == citizen.pid] for file, rows in files["99001"].items()}
    assert [row["DRUGALLERGY"] for row in own["DRUGALLERGY"]] == [citizen.allergy.code]
    assert citizen.allergy.group == "penicillin"
    assert {row["CHRONIC"] for row in own["CHRONIC"]} == set(citizen.chronic)
    assert {drug.code for drug in citizen.medication} <= {row["DIDSTD"] for row in own["DRUG_OPD"]}
    assert [row["INSTYPE_NEW"] for row in own["CARD"]] == ["0100"]
    assert citizen.scheme == "UCS"
    assert len(own["SERVICE"]) == 7
    for file in ("ADMISSION", "DIAGNOSIS_IPD", "DRUG_IPD", "PROCEDURE_IPD", "LABFU", "EPI", "APPOINTMENT", "CHRONICFU"):
        assert own[file], file
    adult_since = date(citizen.born.year + 18, 12, 31)
    assert adult_since < TODAY


def test_every_file_that_the_platform_reads_is_sent(files):
    sent = {file for rows in files.values() for file in rows}
    people = {"PERSON", "ADDRESS", "CARD", "HOME", "PROVIDER", "CHRONIC", "DRUGALLERGY"}
    visits = {"SERVICE", "DIAGNOSIS_OPD", "DRUG_OPD", "PROCEDURE_OPD", "CHARGE_OPD", "LABFU", "APPOINTMENT"}
    stays = {"ADMISSION", "DIAGNOSIS_IPD", "DRUG_IPD", "PROCEDURE_IPD", "CHARGE_IPD"}
    programmes = {"SURVEILLANCE", "CHRONICFU", "NCDSCREEN", "EPI"}
    assert sent == people | visits | stays | programmes


def test_zips_are_named_as_the_standard_says(population, written):
    for facility in population.facilities:
        name = parse_name(written.find("f43", facility.hcode).path.name)
        assert name is not None
        assert name.hospcode == facility.hcode
    with pytest.raises(KeyError):
        written.find("f43", "00000")


def test_claim_files_add_up(population, written, files):
    claims: Rows = {}
    with zipfile.ZipFile(written.find("f16", "99001").path) as archive:
        for file, columns in F16_FILES.items():
            header, *lines, end = archive.read(f"{file}.txt").decode().split("\r\n")
            assert header == "|".join(columns)
            assert end == ""
            claims[file] = [dict(zip(columns, line.split("|"), strict=True)) for line in lines]
    assert claims["OPD"]
    visits = {row["SEQ"]: row for row in files["99001"]["SERVICE"]}
    people = {row["HN"] for row in claims["PAT"]}
    for row in claims["OPD"]:
        assert visits[row["SEQ"]]["DATE_SERV"] == row["DATEOPD"]
        assert row["DATEOPD"] >= f"{TODAY - timedelta(days=30):%Y%m%d}"
        assert row["HN"] in people
    for row in claims["CHT"]:
        parts = [part["AMOUNT"] for part in claims["CHA"] if (part["SEQ"], part["AN"]) == (row["SEQ"], row["AN"])]
        assert sum(round(float(part) * 100) for part in parts) == round(float(row["TOTAL"]) * 100) > 0
    assert {row["INSCL"] for row in claims["INS"]} <= {"UCS", "OFC", "SSS"}
    assert population.hospital_a.hcode == "99001"


def test_bundles_are_whole_transactions(population, written, files):
    centre = population.health_centre.hcode
    hospital_numbers = identifiers.local(centre, identifiers.Local.HN)
    known = {row["HN"] for row in files[centre]["PERSON"]}
    visit_numbers = {row["SEQ"] for row in files[centre]["SERVICE"]}
    with zipfile.ZipFile(written.find("fhir", centre).path) as archive:
        bundles = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert bundles
    for bundle in bundles:
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
        urls = [entry["fullUrl"] for entry in bundle["entry"]]
        assert len(set(urls)) == len(urls)
        assert set(references(bundle)) <= set(urls)
        patient, *others = [entry["resource"] for entry in bundle["entry"]]
        assert patient["resourceType"] == "Patient"
        numbers = {one["system"]: one["value"] for one in patient["identifier"]}
        assert numbers[hospital_numbers] in known
        encounters = [one for one in others if one["resourceType"] == "Encounter"]
        assert encounters
        assert {one["identifier"][0]["value"] for one in encounters}.isdisjoint(visit_numbers)
        for entry in bundle["entry"]:
            assert entry["request"]["url"] == entry["resource"]["resourceType"]
            has_number = entry["resource"]["resourceType"] in ("Patient", "Encounter")
            assert ("ifNoneExist" in entry["request"]) is has_number


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for part in value.values() for found in references(part)]
    if isinstance(value, list):
        return [found for part in value for found in references(part)]
    return []


def test_practitioners_have_licences_and_citizen_ids(population):
    for facility in population.facilities:
        assert facility.practitioners
        numbers = [one.citizen_id for one in facility.practitioners]
        assert len(set(numbers)) == len(numbers)
        assert all(citizen_id.is_synthetic(number) for number in numbers)
        assert all(one.licence for one in facility.practitioners_of("doctor", "nurse", "pharmacist"))


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path):
    """Hash seeds, memory addresses and the time of day have no say."""
    here = Population.generate(seed=5, people=60, today=TODAY, dirty=True).write_all(tmp_path / "here")
    command = [sys.executable, "-m", "tools.population", "--seed", "5", "--people", "60", "--dirty"]
    command += ["--today", TODAY.isoformat(), "--out", str(tmp_path / "there")]
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "TZ": "America/New_York"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert "people/s" in ran.stdout
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "there").iterdir()}
    assert there == digests(here)


def test_another_seed_gives_other_people(written, tmp_path):
    other = Population.generate(seed=8, people=600, today=TODAY).write_all(tmp_path)
    assert set(digests(other).values()).isdisjoint(digests(written).values())


def test_dirty_rows_are_those_that_are_told(tmp_path):
    population = Population.generate(seed=2, people=200, today=TODAY, dirty=True)
    written = population.write_all(tmp_path)
    for facility in population.facilities:
        rows, broken, faults = read(written.find("f43", facility.hcode).path)
        told = {(one.file, one.line, one.column, one.reason) for one in written.spoiled if one.hcode == facility.hcode}
        people = {row["PID"] for row in rows["PERSON"]}
        found = set(faults) | {(file, error.line, error.column, error.reason) for file, errors in broken.items() for error in errors}  # fmt: skip  # noqa: E501 - one set
        unknown = [row["PID"] for row in rows["DIAGNOSIS_OPD"] if row["PID"] not in people]
        assert found == {one for one in told if one[3] != "PERSON_UNKNOWN"}
        assert len(unknown) == len([one for one in told if one[3] == "PERSON_UNKNOWN"]) == 1
        assert len(told) == 7


def test_what_was_on_its_way_is_taken_away(tmp_path):
    population = Population.generate(seed=2, people=50, today=TODAY)

    class StoppedError(Exception):
        pass

    def stop(_: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        population.write_all(tmp_path, stop)
    assert list(tmp_path.iterdir()) == []
    population.write_all(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".zip"}


def test_progress_is_told_up_to_the_last_person(tmp_path):
    told: list[int] = []
    Population.generate(seed=2, people=50, today=TODAY).write_all(tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == 50


def test_nobody_makes_no_population():
    with pytest.raises(ValueError, match="at least one"):
        Population.generate(seed=1, people=0, today=TODAY)
