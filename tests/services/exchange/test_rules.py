"""Decisions of exchange."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exchange.model import Counts, Outcome, State
from services.exchange.rules import (
    Again,
    again,
    backoff,
    combined,
    count,
    local_number,
    may_cancel,
    waves,
)

CREATED, UPDATED, UNCHANGED = Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.QUEUED, Again.ANSWER),
        (State.RUNNING, Again.ANSWER),
        (State.SUCCEEDED, Again.ANSWER),
        (State.CANCELLED, Again.GO_ON),
        (State.FAILED, Again.BEGIN_ANEW),
    ],
)
def test_the_same_bytes_are_answered_go_on_or_begin_anew(state: State, what: Again) -> None:
    assert again(state) is what


def test_only_what_is_not_finished_can_be_cancelled() -> None:
    assert [state for state in State if may_cancel(state)] == [State.QUEUED, State.RUNNING]


@pytest.mark.parametrize(
    ("outcomes", "row"),
    [
        ([], Outcome.SKIPPED),
        ([CREATED, CREATED, CREATED], CREATED),
        ([CREATED, UNCHANGED], CREATED),
        ([UNCHANGED, CREATED], UPDATED),
        ([UPDATED, UNCHANGED], UPDATED),
        ([UNCHANGED, UNCHANGED], UNCHANGED),
        ([CREATED, Outcome.REJECTED], Outcome.REJECTED),
    ],
)
def test_a_row_of_several_things_is_what_its_main_thing_is(outcomes: list[Outcome], row: Outcome) -> None:
    assert combined(outcomes) is row


@given(st.lists(st.sampled_from(list(Outcome))))
def test_every_row_is_counted_once(outcomes: list[Outcome]) -> None:
    assert count(outcomes).total == len(outcomes)
    assert sum((count([one]).total for one in outcomes), 0) == count(outcomes).total
    assert count([]) == Counts()


@given(st.lists(st.sampled_from("abcd")))
def test_of_two_with_one_key_the_later_goes_later(keys: list[str]) -> None:
    groups = waves(keys)
    assert sorted(position for group in groups for position in group) == list(range(len(keys)))
    for group in groups:
        assert len({keys[position] for position in group}) == len(group)
    turn = {position: number for number, group in enumerate(groups) for position in group}
    for later, key in enumerate(keys):
        assert all(turn[earlier] < turn[later] for earlier in range(later) if keys[earlier] == key)


@given(st.integers(1, 10_000))
def test_patience_grows_and_has_an_end(failures: int) -> None:
    assert 0 < backoff(failures) <= backoff(failures + 1) <= 10


@pytest.mark.parametrize(
    ("pid", "hn", "before", "owners", "number"),
    [
        ("1", "660001", "", {}, "660001"),
        ("1", "", "", {}, "1"),
        ("1", "660001", "", {"660001": "1"}, "660001"),
        # Another person's HN is this one's PID.
        ("500", "", "", {"500": "77"}, "PID-500"),
        # What was used first stays, also when an HN comes later.
        ("1", "660001", "1", {"1": "1"}, "1"),
    ],
)
def test_two_people_never_share_a_local_number(
    pid: str, hn: str, before: str, owners: dict[str, str], number: str
) -> None:
    assert local_number(pid, hn, before, owners) == number
