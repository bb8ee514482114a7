"""Claims as the payer would decide them."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import AlreadyExistsError, FailedPreconditionError
from services.claims.model import (
    Claim,
    Line,
    Outcome,
    Reason,
    Situation,
    Status,
    StatusChange,
    TariffItem,
    VisitState,
)
from services.claims.rules import adjudication, ledger, tariffs

NOW = datetime(2026, 8, 5, 3, 0, tzinfo=UTC)
DAY = date(2026, 8, 4)
NO_CODES: frozenset[str] = frozenset()


def an_item(code: str = "30101", price: int = 9000, limit: int = 0, starts=date(2020, 1, 1), ends=None) -> TariffItem:
    return TariffItem(tariffs.item_id("UCS", code, starts), "UCS", code, "", "an item", price, limit, starts, ends)


def a_line(number: int = 1, code: str = "30101", quantity: int = 1, price: int = 9000, group: str = "71") -> Line:
    return Line(number, group, code, "", quantity, price)


def a_claim(*lines: Line, claim_id: str = "c1", **changes) -> Claim:
    facts = {
        "claim_id": claim_id,
        "organization_id": "10661",
        "invoice_number": claim_id,
        "registration_id": "r1",
        "encounter_id": "e1",
        "scheme": "UCS",
        "service_date": DAY,
        "authen_code": "",
        "diagnoses": ("A979",),
        "lines": lines or (a_line(),),
        "status": Status.RECEIVED,
        "status_changes": (StatusChange(Status.RECEIVED, NOW),),
        "recorded_at": NOW,
        "version": 1,
    }
    return Claim(**{**facts, **changes})


def a_situation(*items: TariffItem, **changes) -> Situation:
    facts = {
        "visit": VisitState.HAPPENED,
        "person_id": "p1",
        "coverage_id": "right",
        "tariff": {item.code: item for item in items or (an_item(),)},
    }
    return Situation(**{**facts, **changes})


@pytest.mark.parametrize(
    ("line", "item", "taken", "outcome", "approved", "reason"),
    [
        # The price asked for is the tariff's, or below it.
        (a_line(), an_item(), NO_CODES, Outcome.APPROVED, 9000, Reason.APPROVED),
        (a_line(price=8000), an_item(), NO_CODES, Outcome.APPROVED, 8000, Reason.APPROVED),
        (a_line(quantity=3), an_item(), NO_CODES, Outcome.APPROVED, 27000, Reason.APPROVED),
        # Above the tariff: the tariff's price.
        (a_line(price=12000), an_item(), NO_CODES, Outcome.REDUCED, 9000, Reason.ABOVE_TARIFF),
        (a_line(price=9001, quantity=2), an_item(), NO_CODES, Outcome.REDUCED, 18000, Reason.ABOVE_TARIFF),
        # More units than the tariff allows in one claim.
        (a_line(quantity=3), an_item(limit=2), NO_CODES, Outcome.REDUCED, 18000, Reason.QUANTITY_ABOVE_LIMIT),
        (a_line(quantity=2), an_item(limit=2), NO_CODES, Outcome.APPROVED, 18000, Reason.APPROVED),
        (
            a_line(quantity=3, price=12000),
            an_item(limit=2),
            NO_CODES,
            Outcome.REDUCED,
            18000,
            Reason.QUANTITY_ABOVE_LIMIT,
        ),
        # Nothing that the scheme pays for.
        (a_line(), None, NO_CODES, Outcome.DENIED, 0, Reason.NOT_COVERED),
        # The excess is the person's, whatever the tariff says.
        (a_line(group="72"), an_item(), NO_CODES, Outcome.DENIED, 0, Reason.EXCESS_CHARGED_TO_PERSON),
        (a_line(group="72"), None, NO_CODES, Outcome.DENIED, 0, Reason.EXCESS_CHARGED_TO_PERSON),
        # The same was paid in another claim of the day.
        (a_line(), an_item(), frozenset({"30101"}), Outcome.DENIED, 0, Reason.DUPLICATE),
        (a_line(), an_item(), frozenset({"30104"}), Outcome.APPROVED, 9000, Reason.APPROVED),
        # A free item is reported and costs nothing.
        (a_line(price=0), an_item(price=0), NO_CODES, Outcome.APPROVED, 0, Reason.APPROVED),
    ],
)
def test_a_line_is_decided_with_a_reason(line, item, taken, outcome, approved, reason):
    decision = adjudication.decide_line(line, item, 0, taken)
    assert (decision.outcome, decision.approved, decision.reason) == (outcome, approved, reason)


def test_lines_of_one_code_share_its_limit_in_their_order():
    lines = [a_line(1, quantity=2), a_line(2, quantity=2), a_line(3, quantity=1)]
    decided = adjudication.decide(a_claim(*lines), a_situation(an_item(limit=3)), NOW)
    assert [line.decision.approved for line in decided.lines] == [18000, 9000, 0]
    assert [line.decision.reason.name for line in decided.lines] == [
        "APPROVED",
        "QUANTITY_ABOVE_LIMIT",
        "QUANTITY_ABOVE_LIMIT",
    ]
    assert decided.approved == 27000


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, Status.APPROVED, Reason.APPROVED),
        ({"coverage_id": ""}, Status.REJECTED, Reason.RIGHT_ABSENT),
        ({"is_visit_claimed": True}, Status.REJECTED, Reason.DUPLICATE),
        ({"taken_codes": frozenset({"30101"})}, Status.REJECTED, Reason.DUPLICATE),
        ({"tariff": {}}, Status.REJECTED, Reason.NOT_COVERED),
        ({"visit": VisitState.CANCELLED}, Status.CANCELLED, Reason.VISIT_CANCELLED),
        ({"visit": VisitState.CANCELLED, "person_id": ""}, Status.CANCELLED, Reason.VISIT_CANCELLED),
    ],
)
def test_a_claim_as_a_whole_is_approved_rejected_or_cancelled(changes, status, reason):
    decided = adjudication.decide(a_claim(), a_situation(**changes), NOW)
    assert decided.status is status
    assert decided.lines[0].decision.reason is reason
    assert decided.version == 2
    assert [change.status for change in decided.status_changes] == [Status.RECEIVED, status]


@pytest.mark.parametrize(
    ("changes", "waits_for"),
    [
        ({"visit": None}, "VISIT_UNKNOWN"),
        ({"visit": VisitState.PLANNED}, "VISIT_UNKNOWN"),
        ({"person_id": ""}, "PERSON_UNKNOWN"),
        ({}, ""),
        ({"visit": VisitState.CANCELLED, "person_id": ""}, ""),
    ],
)
def test_a_claim_waits_until_its_visit_and_its_person_are_known(changes, waits_for):
    situation = a_situation(**changes)
    assert adjudication.waits_for(situation) == waits_for
    claim = a_claim()
    assert (adjudication.decide(claim, situation, NOW) is claim) == bool(waits_for)


def test_what_was_decided_stays_whatever_is_known_later():
    decided = adjudication.decide(a_claim(), a_situation(), NOW)
    for later in (a_situation(coverage_id=""), a_situation(person_id="p2"), a_situation(visit=None)):
        assert adjudication.decide(decided, later, NOW) is decided


def test_a_visit_that_did_not_take_place_cancels_what_is_not_paid():
    approved = adjudication.decide(a_claim(), a_situation(), NOW)
    cancelled = adjudication.decide(approved, a_situation(visit=VisitState.CANCELLED), NOW)
    assert (cancelled.status, cancelled.approved) == (Status.CANCELLED, 0)
    paid = adjudication.paid(approved, NOW)
    assert adjudication.decide(paid, a_situation(visit=VisitState.CANCELLED), NOW) is paid
    assert [change.status.name for change in paid.status_changes] == ["RECEIVED", "APPROVED", "SCHEDULED", "PAID"]


def test_of_two_claims_for_one_visit_the_first_is_approved():
    waiting = [(a_claim(claim_id=one), a_situation()) for one in ("c2", "c1")]
    decided = {after.claim_id: after.status for _, after in adjudication.decide_in_turn(waiting, NOW)}
    assert decided == {"c1": Status.APPROVED, "c2": Status.REJECTED}


def test_of_two_visits_on_one_day_the_second_is_not_paid_the_same_again():
    first = a_claim(a_line(1), claim_id="c1")
    second = a_claim(a_line(1), a_line(2, code="30104"), claim_id="c2", encounter_id="e2")
    situation = a_situation(an_item(), an_item("30104"))
    (_, one), (_, two) = adjudication.decide_in_turn([(first, situation), (second, situation)], NOW)
    assert one.approved == 9000
    assert [line.decision.reason.name for line in two.lines] == ["DUPLICATE", "APPROVED"]


def test_every_reason_speaks_english_and_thai():
    for reason in Reason:
        assert reason.message.isascii()
        assert any("\u0e00" <= character <= "\u0e7f" for character in reason.message_th)


lines = st.builds(
    a_line,
    code=st.sampled_from(["30101", "30104", "ORS", "unknown"]),
    quantity=st.integers(1, 100_000),
    price=st.integers(0, 10**9),
    group=st.sampled_from(["71", "41", "42", "C1"]),
).map(lambda line: line)
claims_of_any_kind = st.lists(lines, min_size=1, max_size=8).map(
    lambda some: a_claim(*(replace(line, number=number) for number, line in enumerate(some, 1)))
)
tariffs_of_any_kind = st.dictionaries(
    st.sampled_from(["30101", "30104", "ORS"]), st.tuples(st.integers(0, 10**9), st.integers(0, 50))
).map(lambda found: {code: an_item(code, price, limit) for code, (price, limit) in found.items()})
situations = st.builds(
    Situation,
    visit=st.sampled_from([None, *VisitState]),
    person_id=st.sampled_from(["", "p1"]),
    coverage_id=st.sampled_from(["", "right", "right"]),
    tariff=tariffs_of_any_kind,
    taken_codes=st.frozensets(st.sampled_from(["30101", "ORS"])),
    is_visit_claimed=st.booleans(),
)


@given(claims_of_any_kind, situations)
def test_never_more_is_approved_than_claimed_or_than_the_tariff_and_every_line_has_its_reason(claim, situation):
    decided = adjudication.decide(claim, situation, NOW)
    if decided.status is Status.RECEIVED:
        assert decided is claim
        return
    units: dict[str, int] = {}
    for line in decided.lines:
        decision = line.decision
        assert 0 <= decision.approved <= line.claimed
        assert (decision.outcome is Outcome.APPROVED) == (decision.reason is Reason.APPROVED)
        if decision.outcome is Outcome.APPROVED:
            assert decision.approved == line.claimed
        if decision.outcome is Outcome.DENIED:
            assert decision.approved == 0
        if decision.approved:
            item = situation.tariff[line.code]
            price = min(item.price, line.unit_price)
            assert decision.approved % price == 0
            units[line.code] = units.get(line.code, 0) + decision.approved // price
    for code, count in units.items():
        limit = situation.tariff[code].quantity_limit
        assert not limit or count <= limit
    assert decided.approved == sum(line.decision.approved for line in decided.lines)


@given(st.lists(st.tuples(claims_of_any_kind, situations), max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_waiting_claims_are_found_does_not_matter(waiting, random):
    waiting = [(replace(claim, claim_id=f"c{n}"), situation) for n, (claim, situation) in enumerate(waiting)]
    shuffled = list(waiting)
    random.shuffle(shuffled)
    assert adjudication.decide_in_turn(waiting, NOW) == adjudication.decide_in_turn(shuffled, NOW)


class Books:
    """A ledger in memory, for histories."""

    def __init__(self) -> None:
        self.transactions: dict[str, int] = {}
        self.accounts: dict[str, int] = {}

    def post(self, entries) -> None:
        for entry in entries:
            self.transactions[entry.transaction_id] = self.transactions.get(entry.transaction_id, 0) + entry.amount
            self.accounts[entry.account] = self.accounts.get(entry.account, 0) + entry.amount


steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "decide", "cancel", "pay"]), st.integers(0, 4), claims_of_any_kind, situations
    ),
    max_size=30,
)


@given(steps)
def test_in_every_history_transactions_sum_to_zero_and_the_books_say_what_is_owed(history):
    books, held = Books(), {}
    for number, (step, which, claim, situation) in enumerate(history):
        claim_id = f"c{which}"
        if step == "submit":
            organization_id = "10661" if which % 2 else "11042"
            held.setdefault(claim_id, replace(claim, claim_id=claim_id, organization_id=organization_id))
        elif step == "pay":
            approved = [one for one in held.values() if one.status is Status.APPROVED]
            books.post(ledger.payment_entries(approved, f"t{number}"))
            held.update({one.claim_id: adjudication.paid(one, NOW) for one in approved})
        elif claim_id in held:
            before = held[claim_id]
            cancelled = replace(situation, visit=VisitState.CANCELLED)
            after = adjudication.decide(before, cancelled if step == "cancel" else situation, NOW)
            if after is not before:
                books.post(ledger.entries_of(before, after, f"t{number}"))
            held[claim_id] = after
    assert set(books.transactions.values()) <= {0}
    for organization_id in ("10661", "11042"):
        own = [one for one in held.values() if one.organization_id == organization_id]
        owed = sum(one.approved for one in own if one.status is Status.APPROVED)
        assert -books.accounts.get(ledger.payable(organization_id), 0) == owed
    paid = sum(one.approved for one in held.values() if one.status is Status.PAID)
    assert -books.accounts.get(ledger.fund("UCS"), 0) == paid
    assert sum(books.accounts.values()) == 0


def test_a_new_period_after_a_closed_one_is_created():
    old = an_item(ends=date(2026, 9, 30))
    new = an_item(price=9500, starts=date(2026, 10, 1))
    growth = tariffs.grow([old], [old, new])
    assert (growth.created, growth.closed, growth.unchanged) == ([new], [], 1)


def test_an_open_period_is_closed_by_its_end_and_followed_by_a_new_one_in_the_same_batch():
    new = an_item(price=9500, starts=date(2026, 10, 1))
    closed = an_item(ends=date(2026, 9, 30))
    growth = tariffs.grow([an_item()], [closed, new])
    assert (growth.created, growth.closed) == ([new], [closed])


@pytest.mark.parametrize(
    ("held", "told", "reason"),
    [
        ([an_item()], [an_item(price=9500)], "TARIFF_EXISTS"),
        ([an_item(ends=date(2026, 9, 30))], [an_item(ends=date(2026, 10, 31))], "TARIFF_EXISTS"),
        ([an_item(ends=date(2026, 9, 30))], [an_item()], "TARIFF_EXISTS"),
        ([an_item()], [an_item(starts=date(2026, 10, 1))], "TARIFF_OVERLAP"),
        ([an_item(ends=date(2026, 9, 30))], [an_item(starts=date(2026, 9, 30))], "TARIFF_OVERLAP"),
        ([], [an_item(starts=date(2026, 10, 1)), an_item()], "TARIFF_OVERLAP"),
    ],
)
def test_a_period_is_neither_changed_nor_overlapped(held, told, reason):
    with pytest.raises((AlreadyExistsError, FailedPreconditionError)) as caught:
        tariffs.grow(held, told)
    assert caught.value.reason == reason
    assert caught.value.fields[0].field.startswith("items[")


periods = st.tuples(st.integers(0, 60), st.one_of(st.none(), st.integers(0, 30))).map(
    lambda period: an_item(
        starts=date(2026, 1, 1) + (date(2026, 1, 2) - date(2026, 1, 1)) * period[0],
        ends=None
        if period[1] is None
        else date(2026, 1, 1) + (date(2026, 1, 2) - date(2026, 1, 1)) * (period[0] + period[1]),
    )
)


@given(st.lists(periods, max_size=6))
def test_no_day_ever_has_two_prices(told):
    held: dict[str, TariffItem] = {}
    for item in told:
        try:
            growth = tariffs.grow(held.values(), [item])
        except (AlreadyExistsError, FailedPreconditionError):
            continue
        held.update((one.tariff_item_id, one) for one in (*growth.created, *growth.closed))
    for day in range(120):
        at = date(2026, 1, 1).toordinal() + day
        holding = [
            one
            for one in held.values()
            if one.starts_on.toordinal() <= at and (one.ends_on is None or at <= one.ends_on.toordinal())
        ]
        assert len(holding) <= 1
