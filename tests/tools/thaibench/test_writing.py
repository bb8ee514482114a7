"""The benchmark as a whole: what a reader of its files may rely on."""

import csv
import itertools
import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from libs.thai import citizen_id, names
from tools.population.draws import Draws
from tools.thaibench import HARD, Ids, Level, Plan, write, writing
from tools.thaibench.lives import Maker
from tools.thaibench.sending import COLUMNS

SIZE = 12_000


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """The registrations and the truth of each mode, by (ids, level)."""
    found = {}
    for ids in Ids:
        for level in Level:
            written = write(Plan(SIZE, 3, ids, level), tmp_path_factory.mktemp(f"{ids}-{level}"))
            found[ids, level] = rows_of(written.registrations[0]), rows_of(written.truth)
    return found


def test_the_same_plan_gives_the_same_bytes_however_many_processes_write_it(tmp_path):
    plan = Plan(SIZE, 7, Ids.WITH)
    one, other = write(plan, tmp_path / "one"), write(plan, tmp_path / "other", jobs=2)
    assert one.registrations[0].read_bytes() == other.registrations[0].read_bytes()
    assert one.truth.read_bytes() == other.truth.read_bytes()
    assert write(Plan(SIZE, 8, Ids.WITH), tmp_path / "third").truth.read_bytes() != one.truth.read_bytes()


def test_every_registration_has_its_person_in_the_truth_and_nowhere_else(benches):
    for rows, truth in benches.values():
        assert len(rows) == SIZE
        assert tuple(rows[0]) == COLUMNS
        assert [row["record_id"] for row in rows] == [row["record_id"] for row in truth]
        assert len({row["record_id"] for row in rows}) == SIZE
        persons = Counter(row["person_id"] for row in truth)
        assert 0.45 < len(persons) / SIZE < 0.60
        assert max(persons.values()) <= 5


def test_registrations_of_one_person_do_not_stand_together(benches):
    _, truth = benches[Ids.WITH, Level.STANDARD]
    neighbours = sum(one["person_id"] == other["person_id"] for one, other in itertools.pairwise(truth))
    assert neighbours < 10


def test_without_ids_nothing_that_somebody_issued_is_left(benches):
    for level in Level:
        rows, _ = benches[Ids.WITHOUT, level]
        assert not any(row["citizen_id"] or row["passport"] or row["other_id"] for row in rows)


def test_citizen_ids_are_synthetic_and_wrong_ones_as_frequent_as_asked(benches):
    shares = {}
    for ids in (Ids.WITH, Ids.WRONG):
        rows, truth = benches[ids, Level.STANDARD]
        assert all(row["citizen_id"].startswith("9") for row in rows if row["citizen_id"])
        wrong = [row for row in truth if " id:" in row["made"]]
        shares[ids] = len(wrong) / SIZE
    assert shares[Ids.WITH] < 0.01
    assert 0.03 < shares[Ids.WRONG] < 0.07


def test_a_dummy_id_is_sound_and_shared_by_strangers(benches):
    rows, truth = benches[Ids.WRONG, Level.STANDARD]
    holders = {}
    for row, told in zip(rows, truth, strict=True):
        if "id:dummy" in told["made"]:
            assert citizen_id.is_valid(row["citizen_id"])
            holders.setdefault(row["citizen_id"], set()).add(told["person_id"])
    assert max(map(len, holders.values())) >= 2


def test_what_a_card_says_is_right(benches):
    rows, truth = benches[Ids.WITH, Level.STANDARD]
    by_person = {}
    for row, told in zip(rows, truth, strict=True):
        if told["made"] == "card":
            by_person.setdefault(told["person_id"], []).append(row)
    several = [told for told in by_person.values() if len(told) > 1]
    assert len(several) > 1000
    for told in several:
        for field in ("given", "birth_date", "sex", "citizen_id"):
            assert len({row[field] for row in told}) == 1, field
        date.fromisoformat(told[0]["birth_date"])


def test_hard_is_harder(benches):
    def slips(level):
        return sum("given:" in row["made"] for row in benches[Ids.WITHOUT, level][1])

    assert slips(Level.HARD) > 5 * slips(Level.STANDARD) > 0


def test_every_kind_of_trouble_that_is_promised_occurs(benches):
    said = Counter()
    for _, truth in benches.values():
        for row in truth:
            said.update(f"{row['traps']} {row['made']}".split())
    promised = {
        "twin", "namesake", "named-as-father", "newborn", "monk", "monastic-name", "romanized", "roman-slip", "name-changed",
        "birth:digit", "birth:swapped", "birth:buddhist", "birth:misconverted", "birth:missing", "first-of-january",
        "year-alone", "id:swapped", "id:digit", "id:dummy", "id:relative", "given:sound-alike", "given:neighbour-key",
        "given:shift", "given:mark-dropped", "given:mark-changed", "family:letter-dropped", "family:swapped", "no-family",
        "other-sex", "exchanged",
    }  # fmt: skip
    assert promised <= set(said)


def test_twins_share_their_birth_date_and_never_their_given_name():
    draws = Draws("twins")
    maker = Maker(1, draws, replace(HARD, twins=0.5, namesakes=0.0, named_as_father=0.0), 0)
    pairs = []
    for _ in range(2_000):
        members = [person for person in maker.household().members if "twin" in person.traps]
        pairs += [
            (one, other)
            for one, other in itertools.combinations(members, 2)
            if one.born == other.born and one.mother is other.mother
        ]
    assert len(pairs) > 300
    assert all(one.names[0][1].thai != other.names[0][1].thai for one, other in pairs)
    assert sum(one.names[0][1].thai[:3] == other.names[0][1].thai[:3] for one, other in pairs) > len(pairs) * 0.4


def test_boys_become_men_and_brides_change_name(benches):
    rows, truth = benches[Ids.WITH, Level.STANDARD]
    prefixes, families = {}, {}
    for row, told in zip(rows, truth, strict=True):
        if told["made"].split()[0] == "card":
            prefixes.setdefault(told["person_id"], set()).add(row["prefix"])
            families.setdefault(told["person_id"], set()).add((row["family"], row["prefix"]))
    assert any({"เด็กชาย", "นาย"} <= told for told in prefixes.values())
    assert any(
        len({family for family, _ in told}) == 2 and ("นาง" in {p for _, p in told}) for told in families.values()
    )


def test_given_names_are_common_and_family_names_mostly_rare(tmp_path):
    written = write(Plan(40_000, 5), tmp_path, jobs=2)
    rows = rows_of(written.registrations[0])
    given = Counter(row["given"] for row in rows)
    family = Counter(row["family"] for row in rows if row["family"])
    assert len(given) > 4_000
    assert 0.002 < given.most_common(1)[0][1] / len(rows) < 0.02
    assert len(family) > 8_000
    assert family.most_common(1)[0][1] / len(rows) < 0.02
    assert sum(count for count in family.values() if count <= 5) / len(rows) > 0.3


def test_most_names_are_written_as_the_platform_normalizes_them(benches):
    rows, _ = benches[Ids.WITHOUT, Level.STANDARD]
    settled = sum(names.normalize(row["given"]) == row["given"] for row in rows)
    assert 0.98 < settled / SIZE < 1


def test_two_files_to_be_linked_part_the_registrations(tmp_path):
    written = write(Plan(4_000, 2, is_pair=True), tmp_path)
    one, other = (rows_of(path) for path in written.registrations)
    truth = rows_of(written.truth)
    assert len(one) + len(other) == len(truth) == 4_000
    assert {row["record_id"] for row in (*one, *other)} == {row["record_id"] for row in truth}
    assert abs(len(one) - len(other)) < 400


def test_memory_does_not_grow_with_the_size(tmp_path, monkeypatch):
    """The parts are written as they are made: no more than a few of them are held."""
    monkeypatch.setattr(writing, "PART", 1_000)
    write(Plan(1_000, 4), tmp_path)
    peaks = []
    for size in (2_000, 10_000):
        tracemalloc.start()
        write(Plan(size, 4), tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3
