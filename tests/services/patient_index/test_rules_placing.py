"""Where registrations stand after they were registered, linked and unlinked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.patient_index.model import INDEX, MODEL, RULES, Decision, DecisionKind, Incoming, Outcome, Placement
from services.patient_index.rules.blocking import MAX_BLOCK
from services.patient_index.rules.deciding import Word, link, unlink
from services.patient_index.rules.history import HistoryBrokenError, replay, standing
from services.patient_index.rules.matching import PERSON_CONTRADICTED
from services.patient_index.rules.placing import home_person_of, place, settle
from services.patient_index.rules.world import World
from tests.services.patient_index.people import CLINIC, HOSPITAL_A, HOSPITAL_B, NOW, a_number, a_world, an_incoming

NUMBER = a_number(1)
CALLER = "client/hospital"
WORD = Word(CALLER, NOW, "somebody says so")


def registered(world: World, *incoming: Incoming) -> list[Placement]:
    """Places them one after the other, as a batch does."""
    placements = [place(world, one, CALLER, NOW) for one in incoming]
    settle(world, NOW)
    return placements


def persons(world: World) -> dict[str, str]:
    return {one.registration_id: one.person_id for one in world.held.values()}


def keys_in(world: World) -> list[str]:
    return [one.citizen_key for one in sorted(world.held.values(), key=lambda one: one.organization_id)]


def at_a(**told) -> Incoming:
    return an_incoming(organization=HOSPITAL_A, **told)


def at_b(**told) -> Incoming:
    return an_incoming(organization=HOSPITAL_B, **told)


def test_a_first_registration_is_a_person_of_its_own():
    world = a_world()
    (placement,) = registered(world, at_a(number=NUMBER))
    held = world.held[placement.held.registration_id]
    assert (placement.outcome, held.version, held.person_id) == (
        Outcome.CREATED,
        1,
        home_person_of(held.registration_id),
    )
    assert held.citizen_key == f"key of {NUMBER}"
    assert [(one.kind, one.previous_person_id, one.decided_by) for one in world.decisions] == [
        (DecisionKind.REGISTER, "", CALLER)
    ]


def test_the_same_person_at_another_hospital_is_linked_by_number_and_keeps_the_evidence():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_b(number=NUMBER))
    assert second.held.person_id == first.held.person_id
    decision = world.decisions[-1]
    assert (decision.kind, decision.decided_by, decision.model) == (DecisionKind.LINK, INDEX, RULES)
    assert decision.evidence["with"] == first.held.registration_id
    assert decision.previous_person_id == home_person_of(second.held.registration_id)


def test_without_a_number_the_model_links_those_who_agree_in_everything():
    world = a_world()
    first, second = registered(world, at_a(), at_b())
    assert second.held.person_id == first.held.person_id
    decision = world.decisions[-1]
    assert (decision.model, decision.weight > 0) == (MODEL, True)


def test_two_numbers_of_one_hospital_for_one_person_are_linked_where_they_agree():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_a(number=NUMBER, local_number="2"))
    assert second.held.person_id == first.held.person_id


def test_the_same_content_again_changes_nothing():
    world = a_world()
    registered(world, at_a())
    again = a_world(*world.held.values())
    (placement,) = registered(again, at_a())
    assert placement.outcome is Outcome.UNCHANGED
    assert not list(again.announced())
    assert not any(vars_of(again.changes()))


def vars_of(changes) -> list[object]:
    return [getattr(changes, name) for name in changes.__slots__]


def test_an_older_writing_never_replaces_a_newer_one():
    world = a_world()
    newer, older = at_a(written_at=NOW), at_a(family="มั่งมีสุข", written_at=NOW - timedelta(days=1))
    registered(world, newer)
    (placement,) = registered(world, older)
    assert (placement.outcome, placement.held.features.family) == (Outcome.UNCHANGED, "ใจดีงาม")


def test_the_same_content_written_later_stands_against_what_was_written_between():
    world = a_world()
    registered(world, at_a(written_at=NOW - timedelta(days=3)), at_a(written_at=NOW - timedelta(days=1)))
    (placement,) = registered(world, at_a(family="มั่งมีสุข", written_at=NOW - timedelta(days=2)))
    assert placement.outcome is Outcome.UNCHANGED


def test_a_changed_form_keeps_what_it_said_before_and_is_found_under_the_new_name_alone():
    world = a_world()
    registered(world, at_a(local_number="1"))
    known = a_world(*world.held.values())
    (placement,) = registered(known, at_a(local_number="1", family="มั่งมีสุข"))
    changes = known.changes()
    assert (placement.outcome, placement.held.version) == (Outcome.UPDATED, 2)
    assert [(one.version, one.features.family) for one in changes.superseded] == [(1, "ใจดีงาม")]
    made, gone = ({kind for (kind, _), _ in keys} for keys in (changes.keys_made, changes.keys_gone))
    assert made == gone
    assert made


def test_a_number_learned_later_links_a_registration_that_stood_alone():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_b(given="ธนพล", family="มั่งมีสุข"))
    assert second.held.person_id != first.held.person_id
    (placement,) = registered(world, at_b(given="ธนพล", family="มั่งมีสุข", number=NUMBER))
    assert placement.held.person_id == first.held.person_id


def test_what_contradicts_the_person_it_stands_with_is_questioned_and_not_moved():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_b(number=NUMBER))
    (placement,) = registered(world, at_b(number=a_number(2)))
    assert placement.held.person_id == first.held.person_id == second.held.person_id
    assert [one.match.rule for one in world.reviews.values()] == [PERSON_CONTRADICTED]


def test_who_agrees_with_one_but_not_with_another_of_a_person_is_not_linked():
    world = a_world()
    registered(world, at_a(number=NUMBER), at_b())
    third = an_incoming(organization=CLINIC, number=a_number(2))
    (placement,) = registered(world, third)
    assert placement.held.person_id == home_person_of(third.registration_id)
    assert len(world.reviews) == 1


def test_twins_are_neither_linked_nor_put_to_review():
    world = a_world()
    first, second = registered(world, at_a(given="ธนพล"), at_a(given="กิตติ", local_number="2"))
    assert first.held.person_id != second.held.person_id
    assert not world.reviews


def test_a_number_claimed_by_two_who_contradict_each_other_opens_neither_account():
    world = a_world()
    registered(world, at_a(number=NUMBER), at_b(number=NUMBER, given="กิตติ", family="มั่งมีสุข", born="1991-01-01"))
    assert keys_in(world) == ["", ""]
    assert len(world.reviews) == 1


def test_a_slip_that_is_corrected_gives_the_number_back():
    world = a_world()
    registered(world, at_a(number=NUMBER), at_b(number=NUMBER, given="กิตติ", family="มั่งมีสุข", born="1991-01-01"))
    before = {one.registration_id: one.version for one in world.held.values()}
    later = a_world(*world.held.values())
    registered(later, at_b(number=a_number(2), given="กิตติ", family="มั่งมีสุข", born="1991-01-01"))
    assert keys_in(later) == [f"key of {NUMBER}", f"key of {a_number(2)}"]
    # Both are announced, each with a newer version.
    assert all(one.version > before[one.registration_id] for one in later.announced())
    assert len(list(later.announced())) == 2


SYLLABLES = ("กมล", "ขวัญ", "จินต์", "ชัย", "ณรงค์", "ดวง", "ทิพย์", "นภา", "บุญ", "ประ", "พงษ์", "มาลี")


def village(count: int) -> list[Incoming]:
    names = [f"{one}{other}" for one in SYLLABLES for other in SYLLABLES if one != other]
    return [
        at_a(
            number=NUMBER,
            given=names[index],
            family=names[-1 - index * 2],
            born=f"{1930 + index % 80}-0{1 + index % 9}-11",
            phone="",
            local_number=str(index),
        )
        for index in range(count)
    ]


@pytest.mark.parametrize("count", [5, MAX_BLOCK + 10])
def test_a_dummy_number_links_nobody_of_a_village(count):
    world = a_world()
    registered(world, *village(count))
    assert len(set(persons(world).values())) == count
    assert set(keys_in(world)) == {""}


def test_a_storm_of_one_name_ends_with_everybody_alone_and_few_reviews():
    world = a_world()
    storm = [
        at_a(born=f"19{40 + index % 50}-01-01", place="", phone="", local_number=str(index)) for index in range(300)
    ]
    registered(world, *storm)
    linked = [one for one in world.decisions if one.kind is DecisionKind.LINK]
    assert all(one.model == MODEL for one in linked)
    assert len(world.reviews) < 5 * MAX_BLOCK


def test_unlinking_restores_exactly_what_was_and_the_index_does_not_link_again():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_b(number=NUMBER))
    held = world.held[second.held.registration_id]
    world.loaded.histories[held.registration_id] = history_of(world, held.registration_id)
    (decision,) = unlink(world, held.registration_id, WORD)
    settle(world, NOW)
    assert decision.person_id == home_person_of(held.registration_id)
    assert list(world.held_apart) == [tuple(sorted([first.held.registration_id, held.registration_id]))]
    (again,) = registered(world, at_b(number=NUMBER, phone=""))
    assert again.held.person_id == home_person_of(held.registration_id)
    assert not [one for one in world.decisions[3:] if one.kind is DecisionKind.LINK]
    (joined,) = link(world, held.registration_id, first.held.person_id, WORD)
    assert joined.person_id == first.held.person_id
    assert (len(world.rejoined), len(world.held_apart)) == (1, 0)


def history_of(world: World, registration_id: str) -> list[Decision]:
    return [one for one in world.decisions if one.registration_id == registration_id]


def test_who_others_were_linked_to_leaves_to_a_new_person_and_comes_back_exactly():
    world = a_world()
    first, second = registered(world, at_a(number=NUMBER), at_b(number=NUMBER))
    held = world.held[first.held.registration_id]
    world.loaded.histories[held.registration_id] = history_of(world, held.registration_id)
    (parted,) = unlink(world, held.registration_id, WORD)
    assert parted.person_id not in (home_person_of(held.registration_id), home_person_of(second.held.registration_id))
    assert world.held[second.held.registration_id].person_id == home_person_of(held.registration_id)
    link(world, held.registration_id, home_person_of(held.registration_id), WORD)
    assert set(persons(world).values()) == {home_person_of(held.registration_id)}
    assert [one.person_id for one in standing(history_of(world, held.registration_id))] == [
        parted.person_id,
        home_person_of(held.registration_id),
    ]


def test_a_history_that_does_not_follow_is_refused():
    world = a_world()
    registered(world, at_a(number=NUMBER), at_b(number=NUMBER))
    with pytest.raises(HistoryBrokenError):
        replay(world.decisions[1:2] * 2)
    with pytest.raises(HistoryBrokenError):
        replay([replace(world.decisions[0], kind=DecisionKind.LINK)])


people = st.builds(
    an_incoming,
    organization=st.sampled_from([HOSPITAL_A, HOSPITAL_B, CLINIC]),
    local_number=st.sampled_from("12345"),
    number=st.sampled_from(["", NUMBER, a_number(2)]),
    given=st.sampled_from(["", "สมชาย", "ธนพล"]),
    family=st.sampled_from(["ใจดีงาม", "มั่งมีสุข"]),
    born=st.sampled_from(["", "1984-02-05", "1984-05-02", "1960-01-01"]),
    sex=st.sampled_from([1, 2]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(people, max_size=12))
def test_replaying_the_decisions_gives_every_person_again(incoming):
    world = a_world()
    registered(world, *incoming)
    assert replay(world.decisions).persons == persons(world)
    assert world.changes().decisions == world.decisions


@settings(max_examples=60, deadline=None)
@given(st.lists(people, max_size=8))
def test_a_batch_ends_as_its_registrations_sent_singly(incoming):
    batch, singly = a_world(), a_world()
    registered(batch, *incoming)
    for one in incoming:
        registered(singly, one)
        singly = a_world(*singly.held.values())
    assert persons(batch) == persons(singly)
    assert {one.registration_id: (one.features, one.citizen_key) for one in batch.held.values()} == {
        one.registration_id: (one.features, one.citizen_key) for one in singly.held.values()
    }


distinct = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([HOSPITAL_A, HOSPITAL_B, CLINIC])), unique=True, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(distinct, st.randoms())
def test_the_order_of_arrival_does_not_change_who_is_one_person(told, chance):
    incoming = [
        an_incoming(
            number=a_number(seed), given=f"{'กขคง'[seed - 1]}นพลกิตติ", organization=organization, local_number=str(seed)
        )
        for seed, organization in told
    ]
    shuffled = [*incoming]
    chance.shuffle(shuffled)
    groups = []
    for order in (incoming, shuffled):
        world = a_world()
        registered(world, *order)
        together: dict[str, set[str]] = {}
        for registration_id, person_id in persons(world).items():
            together.setdefault(person_id, set()).add(registration_id)
        groups.append({frozenset(members) for members in together.values()})
    assert groups[0] == groups[1]
