"""What is not recorded keeps its ids; what is recorded, or names no trace, is left to OpenTelemetry."""

import pytest
from opentelemetry import trace
from opentelemetry.propagate import inject

from libs.runtime.tracecontext import standing_at, unrecorded

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_logs_and_calls_within_carry_the_trace():
    place = unrecorded(f"00-{TRACE}-{SPAN}-00")
    sent: dict[str, str] = {}
    with standing_at(place):
        assert f"{trace.get_current_span().get_span_context().trace_id:032x}" == TRACE
        assert not trace.get_current_span().is_recording()
        inject(sent)
    assert sent["traceparent"] == f"00-{TRACE}-{SPAN}-00"
    assert not trace.get_current_span().get_span_context().is_valid


def test_flags_of_later_versions_do_not_hide_that_it_is_recorded():
    assert unrecorded(f"00-{TRACE}-{SPAN}-02") is not None
    assert unrecorded(f"00-{TRACE}-{SPAN}-01") is None
    assert unrecorded(f"00-{TRACE}-{SPAN}-03") is None


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "00",
        f"00-{'0' * 32}-{SPAN}-00",
        f"00-{TRACE}-{'0' * 16}-00",
        f"01-{TRACE}-{SPAN}-00",
        f"00-{TRACE.upper()}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-00-more",
        f"00-{TRACE}-{SPAN}-00\n",
    ],
)
def test_what_names_no_trace_is_none(nothing):
    assert unrecorded(nothing) is None
