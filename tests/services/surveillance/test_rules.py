"""Cases as an epidemiologist would decide them."""

import csv
import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.surveillance.diseases import packaged
from services.surveillance.model import AGE_UNKNOWN, Cell, Diagnosis, Finding, Placement, Role, Status
from services.surveillance.rules import cases, detection, weeks
from services.surveillance.rules.ears import C1, C2, Ears

CATALOGUE = packaged()
MORNING = datetime(2026, 8, 3, 2, 0, tzinfo=UTC)


def a_diagnosis(*codes: str, **changes) -> Diagnosis:
    facts = {
        "diagnosis_id": "d1",
        "version": 1,
        "registration_id": "r1",
        "organization_id": "10661",
        "codes": codes,
        "onset_on": date(2026, 7, 28),
        "diagnosed_at": MORNING,
        "verification": "",
        "place_code": "",
        "is_deleted": False,
        "recorded_at": MORNING,
    }
    return Diagnosis(**{**facts, **changes})


def a_finding(
    case_id: str, day: int, *, of: str = "r1", at: str = "10661", status: Status = Status.CONFIRMED, place=""
):
    return Finding(
        case_id=case_id,
        diagnosis_id=case_id,
        disease_code="66",
        registration_id=of,
        organization_id=at,
        icd10="A90",
        onset_on=date(2026, 1, 1) + timedelta(days=day),
        diagnosed_at=MORNING,
        stated_place=place,
        stated_status=status,
        fact_version=1,
        recorded_at=MORNING,
    )


def a_placement(registration_id: str = "r1", person_id: str = "p1", home: str = "501001", born=date(1984, 2, 29)):
    return Placement(registration_id, person_id, home, born, 2, "099")


@pytest.mark.parametrize(
    ("codes", "diseases"),
    [
        (["A90"], {"66"}),
        (["A901"], {"66"}),
        (["A979"], {"66"}),
        (["A97"], {"66"}),
        (["A970"], {"26"}),
        (["A972"], {"27"}),
        (["B050"], {"22"}),
        (["B059"], {"21"}),
        (["J1581"], {"31"}),
        (["J101"], {"15"}),
        (["U071"], {"92"}),
        (["A850"], {"28", "90"}),
        (["A90", "J180"], {"66", "31"}),
        (["I10"], set()),
        (["G001"], set()),
        (["Z000", "E119"], set()),
        ([], set()),
    ],
)
def test_icd10_codes_name_the_reportable_diseases(codes, diseases):
    assert set(CATALOGUE.diseases_of(codes)) == diseases


def test_there_are_57_reportable_diseases_with_names_codes_and_a_deadline():
    assert len(CATALOGUE.diseases) == 57
    for disease in CATALOGUE.diseases.values():
        assert disease.name
        assert disease.name_th
        assert disease.icd10
        assert disease.episode_days >= 28
        assert CATALOGUE.report_within_hours(disease.code, date(2026, 8, 1)) == 168


def test_covid_was_to_be_reported_within_three_hours_while_it_was_a_dangerous_disease():
    assert CATALOGUE.report_within_hours("92", date(2021, 7, 1)) == 3
    assert CATALOGUE.report_within_hours("92", date(2022, 10, 1)) == 168


@pytest.mark.parametrize(
    ("verification", "status"),
    [
        ("confirmed", Status.CONFIRMED),
        ("", Status.CONFIRMED),
        ("provisional", Status.SUSPECTED),
        ("differential", Status.SUSPECTED),
        ("unconfirmed", Status.SUSPECTED),
        ("something-new", Status.SUSPECTED),
        ("refuted", Status.DISCARDED),
        ("entered-in-error", Status.DISCARDED),
    ],
)
def test_how_sure_a_diagnosis_is_decides_how_sure_the_case_is(verification, status):
    (finding,) = cases.findings_of(a_diagnosis("A90", verification=verification), CATALOGUE)
    assert finding.stated_status is status


def test_a_deleted_diagnosis_is_discarded():
    (finding,) = cases.findings_of(a_diagnosis("A90", is_deleted=True), CATALOGUE)
    assert finding.stated_status is Status.DISCARDED


def test_without_an_onset_the_illness_began_when_it_was_diagnosed_in_bangkok():
    late_evening_utc = datetime(2026, 7, 26, 18, 30, tzinfo=UTC)
    (finding,) = cases.findings_of(a_diagnosis("A90", onset_on=None, diagnosed_at=late_evening_utc), CATALOGUE)
    assert finding.onset_on == date(2026, 7, 27)
    (finding,) = cases.findings_of(a_diagnosis("A90", onset_on=None, diagnosed_at=None), CATALOGUE)
    assert finding.onset_on == date(2026, 8, 3)


def test_two_visits_for_one_illness_are_one_case():
    standings = cases.stand([a_finding("a", 0), a_finding("b", 3)], {"r1": a_placement()}, 28)
    assert standings["a"].role is Role.COUNTED
    assert standings["b"].role is Role.REPEAT
    assert standings["b"].head_case_id == "a"


def test_the_second_hospital_keeps_the_case_on_its_own_list_and_the_country_counts_one():
    placements = {"r1": a_placement("r1"), "r2": a_placement("r2")}
    standings = cases.stand([a_finding("a", 0), a_finding("b", 3, of="r2", at="11042")], placements, 28)
    assert [standings[one].role for one in "ab"] == [Role.COUNTED, Role.FIRST_OF_ORGANIZATION]


def test_an_illness_after_the_episode_is_a_new_case():
    standings = cases.stand([a_finding("a", 0), a_finding("b", 28), a_finding("c", 29)], {}, 28)
    assert [standings[one].role for one in "abc"] == [Role.COUNTED, Role.REPEAT, Role.COUNTED]


def test_an_episode_is_as_sure_as_its_surest_diagnosis():
    findings = [a_finding("a", 0, status=Status.SUSPECTED), a_finding("b", 3)]
    assert cases.stand(findings, {}, 28)["a"].status is Status.CONFIRMED


def test_a_discarded_diagnosis_opens_no_episode():
    findings = [a_finding("a", 0, status=Status.DISCARDED), a_finding("b", 3)]
    standings = cases.stand(findings, {}, 28)
    assert standings["a"].status is Status.DISCARDED
    assert standings["b"].role is Role.COUNTED
    assert cases.is_counted(standings["b"])
    assert not cases.is_counted(standings["a"])


@pytest.mark.parametrize(
    ("stated", "home", "place"),
    [
        ("570101", "501001", "570101"),
        ("", "501001", "501001"),
        ("", "5010", "5010"),
        ("", "501099", "5010"),
        ("509999", "570101", "50"),
        ("nonsense", "501001", "501001"),
        ("", "", ""),
    ],
)
def test_a_case_lies_where_the_illness_began_or_else_at_home(stated, home, place):
    finding = a_finding("a", 0, place=cases.known_place(stated))
    assert cases.stand([finding], {"r1": a_placement(home=home)}, 28)["a"].place_code == place


def test_an_episode_lies_where_a_later_finding_says_when_the_first_says_nothing():
    findings = [a_finding("a", 0), a_finding("b", 3, place="570101")]
    assert cases.stand(findings, {}, 28)["a"].place_code == "570101"


def test_the_age_is_that_at_onset_and_unknown_where_the_birth_date_is_or_lies_after():
    def age_of(day: int, born: date | None) -> int:
        return cases.stand([a_finding("a", day)], {"r1": a_placement(born=born)}, 28)["a"].age_years

    assert age_of(0, date(2025, 1, 2)) == 0
    assert age_of(1, date(2025, 1, 2)) == 1
    assert age_of(0, None) == AGE_UNKNOWN
    assert age_of(0, date(2026, 1, 2)) == AGE_UNKNOWN


def test_a_change_of_diagnosis_leaves_the_old_disease_discarded():
    versions = [a_diagnosis("A90"), a_diagnosis("A92.0".replace(".", ""), version=2)]
    found = {one.disease_code: one for one in cases.newest_findings(versions, CATALOGUE)}
    assert found["66"].stated_status is Status.DISCARDED
    assert found["66"].fact_version == 2
    assert found["84"].stated_status is Status.CONFIRMED


findings = st.lists(
    st.builds(
        a_finding,
        st.uuids().map(str),
        st.integers(0, 90),
        of=st.sampled_from(["r1", "r2", "r3"]),
        at=st.sampled_from(["10661", "11042"]),
        status=st.sampled_from(Status),
        place=st.sampled_from(["", "5010", "570101"]),
    ),
    max_size=12,
    unique_by=lambda one: one.case_id,
)


@given(findings, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_findings_does_not_matter(found, random, is_placed):
    placements = {"r1": a_placement("r1"), "r2": a_placement("r2", born=None)} if is_placed else {}
    shuffled = list(found)
    random.shuffle(shuffled)
    assert cases.stand(found, placements, 28) == cases.stand(shuffled, placements, 28)


@given(findings)
def test_every_episode_counts_once_and_counted_onsets_lie_an_episode_apart(found):
    standings = cases.stand(found, {}, 28)
    counted = sorted(one.onset_on for one in found if cases.is_counted(standings[one.case_id]))
    assert all(later - earlier > timedelta(days=28) for earlier, later in itertools.pairwise(counted))
    assert bool(counted) == any(one.stated_status is not Status.DISCARDED for one in found)
    for standing in standings.values():
        assert standings[standing.head_case_id].role is Role.COUNTED


@pytest.mark.parametrize(
    ("day", "week"),
    [
        (date(2026, 1, 1), "2026-W01"),
        (date(2027, 1, 3), "2026-W53"),
        (date(2027, 1, 4), "2027-W01"),
        (date(2024, 12, 30), "2025-W01"),
    ],
)
def test_weeks_are_those_of_iso_8601(day, week):
    assert weeks.week_text(weeks.week_of(day)) == week
    assert weeks.parse_week(week) == weeks.week_of(day)


def test_a_week_that_the_year_does_not_have_is_refused():
    with pytest.raises(ValueError, match="week"):
        weeks.parse_week("2025-W53")


def test_a_moment_on_sunday_evening_in_london_lies_in_the_next_week_in_bangkok():
    assert weeks.week_of_moment(datetime(2026, 8, 2, 18, 0, tzinfo=UTC)) == date(2026, 8, 3)


def reference() -> list[dict[str, str]]:
    """R surveillance 1.20.3, earsC with baseline 7, minSigma 0, alpha 0.001, on series that the package ships."""
    text = Path(__file__).with_name("data").joinpath("ears_reference.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


@pytest.mark.parametrize("series", ["salmNewport", "campyDE", "salmonellaAgona"])
@pytest.mark.parametrize(("detector", "column"), [(C1, "c1"), (C2, "c2")])
def test_the_detectors_agree_with_r_surveillance(series, detector, column):
    rows = [row for row in reference() if row["series"] == series]
    counts = [int(row["observed"]) for row in rows]
    compared = 0
    for index, row in enumerate(rows):
        if not row[f"{column}_upper_bound"]:
            continue
        judgement = detector.judge(counts, index)
        assert judgement.upper_bound == pytest.approx(float(row[f"{column}_upper_bound"]), rel=1e-12, abs=1e-12)
        assert judgement.is_alarm == (row[f"{column}_alarm"] == "1")
        compared += 1
    assert compared > 190


def test_a_week_with_too_few_weeks_before_it_is_not_judged():
    assert C2.judge([1] * 9, 8) is None
    assert C2.judge([1] * 10, 9) is not None
    assert C1.judge([1] * 8, 7) is not None


def test_a_baseline_that_does_not_vary_has_no_score_and_a_least_deviation_gives_one():
    flat = C2.judge([2] * 9 + [3], 9)
    assert flat.score is None
    assert flat.is_alarm
    softened = Ears("ears-c2", guard=2, min_sigma=0.5).judge([2] * 9 + [3], 9)
    assert softened.score == pytest.approx(2.0)
    assert not softened.is_alarm


def test_a_week_alarms_only_where_the_weeks_before_are_known():
    monday = date(2026, 7, 27)
    cell = Cell("66", "5010", monday)
    counts = {cell: 5}
    assert detection.judge_cell(cell, counts, monday - 8 * weeks.WEEK) is None
    assert detection.judge_cell(cell, counts, monday - 9 * weeks.WEEK).is_alarm
    assert detection.judge_cell(cell, counts, None) is None


def test_a_count_bears_on_its_own_week_and_on_those_it_is_baseline_of():
    monday = date(2026, 7, 27)
    bearing = detection.cells_bearing([Cell("66", "50", monday)])
    ahead = sorted((cell.week_on - monday).days // 7 for cell in bearing)
    assert ahead == [0, 3, 4, 5, 6, 7, 8, 9]


def test_a_case_is_watched_at_its_province_and_its_district():
    monday = date(2026, 7, 27)
    assert [cell.place_code for cell in detection.cells_of("66", "501001", monday)] == ["50", "5010"]
    assert [cell.place_code for cell in detection.cells_of("66", "50", monday)] == ["50"]
    assert list(detection.cells_of("66", "", monday)) == []
