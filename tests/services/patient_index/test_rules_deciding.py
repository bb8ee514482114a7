"""What people decide about persons: each is an event, each can be taken back, and replaying all rebuilds the index."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.errors import FailedPreconditionError, InvalidArgumentError, NhipError, NotFoundError
from services.patient_index.model import Decision, DecisionKind, Held, Loaded, Override
from services.patient_index.rules.deciding import Word, link, merge, override, part, revert, split, unlink
from services.patient_index.rules.history import Standings, replay
from services.patient_index.rules.placing import place, settle
from services.patient_index.rules.world import World
from tests.services.patient_index.people import NOW, a_number, a_world, an_incoming

WORD = Word("practitioner/1", NOW, "seen together")
TOGETHER, APART, NONE = Override.TOGETHER, Override.APART, Override.NONE


class Told(World):
    """A world that goes on: what was decided is history for what comes."""

    def learn(self) -> None:
        """Takes its decisions for what the database would tell of them."""
        histories, decisions = defaultdict(list), defaultdict(list)
        merged = {}
        for one in self.decisions:
            histories[one.registration_id].append(one)
            decisions[one.decision_id].append(one)
            if one.kind in (DecisionKind.MERGE, DecisionKind.OVERRIDE) and one.previous_person_id != one.person_id:
                merged[one.previous_person_id] = one.person_id
        self.loaded.histories.update(histories)
        self.loaded.decisions.update(decisions)
        for first, next_one in merged.items():
            last = next_one
            while last in merged and not self.members(last):
                last = merged[last]
            self.loaded.merged[first] = last


def a_told_world(count: int) -> tuple[Told, list[Held]]:
    """As many strangers, each at an organisation of their own."""
    plain = a_world()
    world = Told(Loaded({}, plain.blocks), plain.key_of, plain.make_id)
    names = "กขคงจชซด"
    held = [
        place(
            world,
            an_incoming(
                number=a_number(one + 10),
                given=f"{names[one]}นพลกิตติ",
                family=f"{names[-1 - one]}วัฒนากุล",
                born=f"19{50 + 3 * one}-0{one + 1}-11",
                organization=f"9900{one + 1}",
                phone="",
            ),
            "client/hospital",
            NOW,
        ).held
        for one in range(count)
    ]
    settle(world, NOW)
    world.learn()
    return world, held


def state(world: World) -> tuple[dict[str, str], set, dict]:
    apart = {tuple(sorted((one, other))) for one, others in world.apart.items() for other in others}
    ordained = {
        tuple(sorted((one, other))): kind for one, others in world.overrides.items() for other, kind in others.items()
    }
    return {one.registration_id: one.person_id for one in world.held.values()}, apart, ordained


def summed(standings: Standings) -> tuple[dict[str, str], set, dict]:
    return standings.persons, set(standings.apart), {pair: kind for pair, (kind, _) in standings.overrides.items()}


def decided(world: Told, decide, *words) -> list[Decision]:
    decisions = decide(world, *words, WORD)
    world.learn()
    return decisions


def person(world: World, held: Held) -> str:
    return world.held[held.registration_id].person_id


def refused(decide, *words) -> NhipError:
    with pytest.raises(NhipError) as error:
        decide(*words)
    return error.value


def test_a_merge_brings_all_and_is_one_event_with_who_why_model_and_evidence():
    world, (a, b, c) = a_told_world(3)
    decided(world, link, b.registration_id, a.person_id)
    decisions = decided(world, merge, a.person_id, c.person_id)
    assert {person(world, one) for one in (a, b, c)} == {c.person_id}
    assert {one.decision_id for one in decisions} == {decisions[0].decision_id}
    first = decisions[0]
    assert (first.kind, first.decided_by, first.reason) == (DecisionKind.MERGE, "practitioner/1", "seen together")
    assert first.model
    assert first.evidence["with"] == c.registration_id
    assert [field for field, _, _ in first.evidence["fields"]]


def test_unlinking_after_a_merge_goes_back_to_where_it_was_before_the_link():
    world, (a, b, c) = a_told_world(3)
    decided(world, link, b.registration_id, a.person_id)
    decided(world, merge, a.person_id, c.person_id)
    decided(world, unlink, b.registration_id)
    assert [person(world, one) for one in (a, b, c)] == [c.person_id, b.person_id, c.person_id]
    decided(world, unlink, a.registration_id)
    assert [person(world, one) for one in (a, b, c)] == [a.person_id, b.person_id, c.person_id]


def test_whoever_others_came_to_leaves_to_a_new_person():
    world, (a, b) = a_told_world(2)
    decided(world, link, b.registration_id, a.person_id)
    decided(world, unlink, a.registration_id)
    assert person(world, b) == a.person_id
    assert person(world, a) not in (a.person_id, b.person_id)


def test_a_merge_that_was_made_changes_nothing_and_one_into_another_says_where_the_person_went():
    world, (a, b, c) = a_told_world(3)
    decided(world, merge, a.person_id, b.person_id)
    assert decided(world, merge, a.person_id, b.person_id) == []
    again = refused(merge, world, a.person_id, c.person_id, WORD)
    assert (again.reason, again.metadata) == ("PERSON_MERGED", {"person_id": b.person_id})
    into = refused(merge, world, c.person_id, a.person_id, WORD)
    assert (into.reason, into.metadata) == ("PERSON_MERGED", {"person_id": b.person_id})
    linking = refused(link, world, c.registration_id, a.person_id, WORD)
    assert linking.reason == "PERSON_MERGED"


def test_a_person_is_not_merged_into_itself_and_nobody_is_unknown():
    world, (a, b) = a_told_world(2)
    assert isinstance(refused(merge, world, a.person_id, a.person_id, WORD), InvalidArgumentError)
    assert refused(merge, world, "nobody", a.person_id, WORD).reason == "PERSON_UNKNOWN"
    assert refused(merge, world, a.person_id, "nobody", WORD).reason == "PERSON_UNKNOWN"
    assert isinstance(refused(link, world, "nobody", a.person_id, WORD), NotFoundError)
    assert refused(override, world, "nobody", b.registration_id, TOGETHER, WORD).reason == "REGISTRATION_UNKNOWN"
    assert refused(split, world, "nobody", [[a.registration_id]], WORD).reason == "PERSON_UNKNOWN"
    assert refused(revert, world, "nothing", WORD).reason == "DECISION_UNKNOWN"


def test_links_in_a_circle_end_where_the_words_put_them_and_unlink_one_by_one():
    world, (a, b, c) = a_told_world(3)
    for one, other in ((a, b), (b, c), (c, a)):
        decided(world, link, one.registration_id, person(world, other))
    assert replay(world.decisions).persons == state(world)[0]
    for one in (a, b, c):
        if not world.is_alone(one.registration_id):
            decided(world, unlink, one.registration_id)
    assert len({person(world, one) for one in (a, b, c)}) == 3


def test_a_split_makes_persons_of_groups_that_the_index_does_not_join_again():
    world, (a, b, c, d) = a_told_world(4)
    for one in (b, c, d):
        decided(world, link, one.registration_id, a.person_id)
    decisions = decided(world, split, a.person_id, [[b.registration_id], [c.registration_id, d.registration_id]])
    assert len(decisions) == 3
    assert person(world, a) == a.person_id
    assert person(world, c) == person(world, d)
    assert len({person(world, one) for one in (a, b, c)}) == 3
    apart = {tuple(sorted(pair)) for pair in decisions[0].evidence["held_apart"]}
    assert len(apart) == 5
    assert tuple(sorted((c.registration_id, d.registration_id))) not in apart


def test_a_split_of_everybody_lets_the_first_group_keep_the_person():
    world, (a, b) = a_told_world(2)
    decided(world, link, b.registration_id, a.person_id)
    decided(world, split, a.person_id, [[b.registration_id], [a.registration_id]])
    assert person(world, b) == a.person_id != person(world, a)


def test_a_split_that_makes_no_sense_names_the_place():
    world, (a, b, c) = a_told_world(3)
    decided(world, link, b.registration_id, a.person_id)
    foreign = refused(split, world, a.person_id, [[b.registration_id, c.registration_id]], WORD)
    assert (foreign.reason, foreign.fields[0].field) == ("REGISTRATION_FOREIGN", "groups[0].registration_ids[1]")
    twice = refused(split, world, a.person_id, [[b.registration_id], [b.registration_id]], WORD)
    assert (twice.reason, twice.fields[0].field) == ("REGISTRATION_TWICE", "groups[1].registration_ids[0]")
    assert refused(split, world, c.person_id, [[c.registration_id]], WORD).reason == "SPLIT_EMPTY"


def test_two_ordained_together_are_joined_and_nothing_parts_them_until_that_is_withdrawn():
    world, (a, b, c) = a_told_world(3)
    decided(world, override, a.registration_id, b.registration_id, TOGETHER)
    assert person(world, a) == person(world, b)
    for decide, *words in (
        (unlink, a.registration_id),
        (split, person(world, b), [[a.registration_id]]),
        (link, a.registration_id, c.person_id),
    ):
        error = refused(decide, world, *words, WORD)
        assert error.reason == "OVERRIDDEN_TOGETHER"
        assert set(error.metadata.values()) == {a.registration_id, b.registration_id}
    decided(world, override, b.registration_id, a.registration_id, NONE)
    decided(world, unlink, a.registration_id)
    assert person(world, a) != person(world, b)


def test_two_ordained_apart_are_parted_and_nothing_joins_them():
    world, (a, b, c) = a_told_world(3)
    decided(world, link, b.registration_id, a.person_id)
    decided(world, link, c.registration_id, a.person_id)
    decided(world, override, b.registration_id, a.registration_id, APART)
    assert person(world, a) == person(world, c) != person(world, b)
    assert refused(link, world, b.registration_id, a.person_id, WORD).reason == "OVERRIDDEN_APART"
    assert refused(merge, world, person(world, b), a.person_id, WORD).reason == "OVERRIDDEN_APART"


def test_overrides_that_contradict_each_other_are_refused_and_name_the_pair():
    world, (a, b, c) = a_told_world(3)
    decided(world, override, a.registration_id, b.registration_id, TOGETHER)
    opposite = refused(override, world, b.registration_id, a.registration_id, APART, WORD)
    assert opposite.reason == "OVERRIDES_CONTRADICT"
    decided(world, override, b.registration_id, c.registration_id, TOGETHER)
    by_chain = refused(override, world, a.registration_id, c.registration_id, APART, WORD)
    assert by_chain.reason == "OVERRIDES_CONTRADICT"
    world, (a, b, c) = a_told_world(3)
    decided(world, override, a.registration_id, c.registration_id, APART)
    decided(world, override, a.registration_id, b.registration_id, TOGETHER)
    joined = refused(override, world, b.registration_id, c.registration_id, TOGETHER, WORD)
    assert joined.reason == "OVERRIDES_CONTRADICT"
    assert set(joined.metadata.values()) == {a.registration_id, c.registration_id}
    assert refused(override, world, a.registration_id, a.registration_id, APART, WORD).reason == "REGISTRATION_SAME"


def test_the_same_override_again_changes_nothing():
    world, (a, b) = a_told_world(2)
    decided(world, override, a.registration_id, b.registration_id, APART)
    assert decided(world, override, b.registration_id, a.registration_id, APART) == []


def test_the_index_does_not_link_whom_somebody_ordained_apart():
    world, (a, b) = a_told_world(2)
    decided(world, override, a.registration_id, b.registration_id, APART)
    told = {"number": a_number(10), "given": "กนพลกิตติ", "family": "ดวัฒนากุล", "born": "1950-01-11"}
    placed = place(world, an_incoming(**told, organization="99002", phone=""), "client/hospital", NOW).held
    assert placed.registration_id == b.registration_id
    assert placed.person_id != person(world, a)


def test_only_the_last_decision_about_a_registration_is_taken_back():
    world, (a, b, c) = a_told_world(3)
    (first,) = decided(world, link, b.registration_id, a.person_id)
    (second,) = decided(world, link, b.registration_id, c.person_id)
    followed = refused(revert, world, first.decision_id, WORD)
    assert (followed.reason, followed.metadata) == ("DECISION_FOLLOWED", {"decision_id": second.decision_id})
    decided(world, revert, second.decision_id)
    decided(world, unlink, b.registration_id)
    assert person(world, b) == b.person_id


def test_a_registration_s_first_decision_stays():
    world, (a, _) = a_told_world(2)
    error = refused(revert, world, world.loaded.histories[a.registration_id][0].decision_id, WORD)
    assert isinstance(error, FailedPreconditionError)
    assert error.reason == "DECISION_FINAL"


def test_what_was_reverted_can_be_decided_again_and_unlinked_as_if_nothing_had_been():
    world, (a, b, c) = a_told_world(3)
    decided(world, link, b.registration_id, a.person_id)
    (parted,) = decided(world, unlink, b.registration_id)
    decided(world, revert, parted.decision_id)
    decided(world, merge, a.person_id, c.person_id)
    decided(world, unlink, b.registration_id)
    assert person(world, b) == b.person_id


number = st.integers(0, 5)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("link"), number, number),
        st.tuples(st.just("unlink"), number),
        st.tuples(st.just("merge"), number, number),
        st.tuples(st.just("split"), number, st.sets(number, min_size=1, max_size=3)),
        st.tuples(st.just("override"), number, number, st.sampled_from([TOGETHER, APART, NONE])),
        st.tuples(st.just("part"), number, number),
        st.tuples(st.just("revert"), st.integers(0, 30)),
    ),
    max_size=25,
)


def carry_out(world: Told, held: list[Held], action) -> list[Decision]:
    """Does it, or nothing where it is refused."""
    kind, *words = action
    ids = [one.registration_id for one in held]
    does = {
        "link": lambda: (link, ids[words[0]], person(world, held[words[1]])),
        "unlink": lambda: (unlink, ids[words[0]]),
        "merge": lambda: (merge, person(world, held[words[0]]), person(world, held[words[1]])),
        "split": lambda: (split, person(world, held[words[0]]), [[ids[one] for one in sorted(words[1])]]),
        "override": lambda: (override, ids[words[0]], ids[words[1]], words[2]),
        "part": lambda: (part, ids[words[0]], ids[words[1]]),
        "revert": lambda: (revert, world.decisions[words[0] % len(world.decisions)].decision_id),
    }
    try:
        return decided(world, *does[kind]())
    except NhipError:
        return []


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_replaying_any_sequence_of_decisions_rebuilds_persons_pairs_and_overrides(actions):
    world, held = a_told_world(6)
    for action in actions:
        carry_out(world, held, action)
    assert summed(replay(world.decisions)) == state(world)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, ACTIONS)
def test_taking_back_any_decision_restores_exactly_what_was(actions, last):
    world, held = a_told_world(6)
    for action in actions:
        carry_out(world, held, action)
    for action in last:
        before = state(world)
        decisions = carry_out(world, held, action)
        if decisions and action[0] != "revert":
            assert decided(world, revert, decisions[0].decision_id)
            assert state(world) == before


@settings(max_examples=150, deadline=None)
@given(ACTIONS, number, number)
def test_a_link_and_an_unlink_leave_everybody_where_they_were(actions, one, other):
    world, held = a_told_world(6)
    for action in actions:
        carry_out(world, held, action)
    before, _, _ = state(world)
    if carry_out(world, held, ("link", one, other)) and carry_out(world, held, ("unlink", one)):
        after, _, _ = state(world)
        left = {key: value for key, value in after.items() if key != held[one].registration_id}
        assert left == {key: before[key] for key in left}
        mates = [key for key, value in before.items() if value == before[held[one].registration_id]]
        apart = world.apart.get(held[one].registration_id, set())
        # Where somebody is there from whom it was parted meanwhile, it does not go back to them.
        if not apart.intersection(mates):
            assert after[held[one].registration_id] == before[held[one].registration_id]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(number, number), max_size=4))
def test_a_link_and_an_unlink_undo_each_other_across_the_merges_between(merges):
    world, held = a_told_world(6)
    stranger = held[5]
    for other in (True, False):
        if other:
            decided(world, link, stranger.registration_id, held[0].person_id)
        for one, into in merges:
            if 5 not in (one, into):
                carry_out(world, held, ("merge", one, into))
    decided(world, unlink, stranger.registration_id)
    alone, others = a_told_world(6)
    for _ in range(2):
        for one, into in merges:
            if 5 not in (one, into):
                carry_out(alone, others, ("merge", one, into))
    assert state(world)[0] == state(alone)[0]
