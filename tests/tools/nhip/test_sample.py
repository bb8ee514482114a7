"""The sample's bookkeeping, and what enrolment sends, against a target that is not called."""

from pathlib import Path

import protovalidate
import pytest
from google.protobuf.json_format import ParseDict
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.identity.v1 import resources_pb2 as identity_pb2
from rich.console import Console

from tools.nhip import enrol, tariff
from tools.nhip.home import Home
from tools.nhip.sample import Sample
from tools.nhip.target import Attached


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A small sample, written."""
    made = a_sample(tmp_path)
    made.write()
    return made


def a_sample(path: Path, people: int = 60, seed: int = 5) -> Sample:
    """A sample of the platform at `path`."""
    home = Home(path / "home")
    home.prepare()
    return Sample(Attached(home), people, seed, Console(quiet=True))


def test_written_files_are_found_again_by_the_next_run(sample: Sample, tmp_path: Path) -> None:
    hcode = sample.population.hospital_a.hcode
    before = sample.file("f43", hcode).stat().st_mtime_ns
    again = a_sample(tmp_path)
    again.write()
    assert again.file("f43", hcode) == sample.file("f43", hcode)
    assert again.file("f43", hcode).stat().st_mtime_ns == before
    assert again.spoiled("f43", hcode) == sample.spoiled("f43", hcode) != []


def test_another_seed_is_another_sample(sample: Sample, tmp_path: Path) -> None:
    other = a_sample(tmp_path, seed=6)
    assert other.population.index_citizen.citizen_id != sample.population.index_citizen.citizen_id
    with pytest.raises(KeyError):
        other.file("f43", other.population.hospital_a.hcode)


def test_what_is_enrolled_is_valid_by_the_contract(sample: Sample) -> None:
    population = sample.population
    messages = [
        *(ParseDict(enrol._facility(one), identity_pb2.Organization()) for one in enrol.facilities(population)),
        *(ParseDict(enrol._agency(one), identity_pb2.Organization()) for one in enrol.AGENCIES),
        *(ParseDict(client, identity_pb2.Client()) for client in enrol._clients(population)),
        *(
            ParseDict(enrol._practitioner(facility, one), identity_pb2.Practitioner())
            for facility in enrol.facilities(population)
            for one in enrol.licensed(facility)
        ),
        ParseDict({"items": tariff.items()}, claims_pb2.BatchCreateTariffItemsRequest()),
    ]
    for message in messages:
        protovalidate.validate(message)


def test_the_tariff_has_each_item_once_and_pays_the_citizen_s_drugs(sample: Sample) -> None:
    codes = [item["code"] for item in tariff.items()]
    assert len(codes) == len(set(codes))
    assert sample.population.index_citizen.safe_drug.code in codes
