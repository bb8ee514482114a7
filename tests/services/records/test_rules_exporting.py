"""What an export is asked for, handled leniently."""

import pytest
from nhip.records.v1 import exports_pb2

from libs.access.caller import Caller, CallerKind, Scopes
from libs.errors import InvalidArgumentError
from services.records.rules.exporting import SYSTEM, understood

READER = Caller(CallerKind.CLIENT, "client/research", "99001", Scopes.parse("system/*.rs"))


def asked(*types: str, lenient: bool) -> exports_pb2.PlanExportRequest:
    return exports_pb2.PlanExportRequest(level=SYSTEM, types=types, lenient=lenient)


def test_a_type_that_is_none_is_passed_over_and_told_of_where_that_is_wanted() -> None:
    plan, ignored = understood(asked("Patient", "Nonsense", lenient=True), READER)
    assert (plan.types, plan.are_types_named, ignored) == (("Patient",), True, ["_type=Nonsense"])
    with pytest.raises(InvalidArgumentError) as caught:
        understood(asked("Patient", "Nonsense", lenient=False), READER)
    assert caught.value.reason == "TYPE_UNKNOWN"


def test_of_nothing_but_unknown_types_no_export_of_everything_is_made() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        understood(asked("Nonsense", lenient=True), READER)
    assert caught.value.reason == "EXPORT_INVALID"
