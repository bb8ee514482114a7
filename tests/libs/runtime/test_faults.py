"""Faults on purpose strike the RPCs that they name, and only in development."""

import time

import pytest

from libs.errors import NhipError, UnavailableError
from libs.runtime.faults import Fault, FaultPlan, parse
from libs.runtime.settings import Settings, SettingsError

ENVIRONMENT = {"NHIP_DATABASE_URL": "postgresql://localhost/nhip_records", "NHIP_SECRETS": "/nowhere"}


def test_faults_are_read_as_they_are_written():
    assert parse("records.ReadResource:error=0.5,delay=0.3; claims.*:block=1,slow=0.1\n") == {
        "records.ReadResource": Fault(error=0.5, delay=0.3),
        "claims.*": Fault(block=1, slow=0.1),
    }


@pytest.mark.parametrize(
    "text",
    [
        "records",
        "records:error=1",
        "records.Read:error",
        "records.Read:error=2",
        "a.B:delay=-1",
        "a.B:code=OK",
        "a.B:x=1",
    ],
)
def test_what_is_misspelt_is_refused(text):
    with pytest.raises(SettingsError, match="NHIP_FAULTS"):
        parse(text)


def test_a_process_beside_real_people_refuses_to_start_with_faults():
    faults = {"NHIP_FAULTS": "records.ReadResource:error=1"}
    with pytest.raises(SettingsError, match="NHIP_DEVELOPMENT_LOGIN"):
        Settings.read("records", {**ENVIRONMENT, **faults})
    assert Settings.read("records", {**ENVIRONMENT, **faults, "NHIP_DEVELOPMENT_LOGIN": "1"}).faults


def test_an_rpc_s_own_fault_goes_before_its_service_s():
    plan = FaultPlan("records.*:error=1; records.ReadResource:delay=1")
    assert plan.of("records.ReadResource") == Fault(delay=1)
    assert plan.of("records.SearchResources") == Fault(error=1)
    assert plan.of("claims.GetClaim") is None


def test_a_file_of_faults_is_read_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("libs.runtime.faults.LOOK_SECONDS", 0)
    file = tmp_path / "faults"
    plan = FaultPlan(f"@{file}")
    assert plan.of("records.ReadResource") is None
    file.write_text("records.ReadResource:error=1\n")
    assert plan.of("records.ReadResource") == Fault(error=1)
    file.unlink()
    assert plan.of("records.ReadResource") is None


async def test_a_fault_fails_with_the_code_that_was_asked_for():
    with pytest.raises(UnavailableError, match="asked for"):
        await Fault(error=1, code="UNAVAILABLE").strike()
    with pytest.raises(NhipError) as raised:
        await Fault(error=1).strike()
    assert (raised.value.kind.value, raised.value.reason) == ("INTERNAL", "FAULT_INJECTED")
    await Fault(error=0).strike()


async def test_a_fault_slows_the_share_that_was_asked_for():
    began = time.monotonic()
    await Fault(delay=0.05).strike()
    assert time.monotonic() - began >= 0.05
    await Fault(delay=60, slow=0).strike()
