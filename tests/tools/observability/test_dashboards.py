"""Dashboards: every query parses and names what there is; Grafana is told all it needs."""

import json

import pytest

from tests.tools.observability.expressions import RECORDED_LABELS, named, problems
from tools.observability.contract.metrics import TARGET_LABELS, by_series
from tools.observability.dashboards import DASHBOARDS
from tools.observability.dashboards.sheet import WIDE, text

BOARDS = {sheet.uid: json.loads(text(sheet)) for sheet in DASHBOARDS}
QUERIES = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{uid}-{panel['title']}-{target['refId']}")
    for uid, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]


def plain(expression: str) -> str:
    """With Grafana's variables filled in, as Grafana does before it asks."""
    return expression.replace("$__rate_interval", "1m").replace("$namespace", ".*").replace("$job", ".*")


@pytest.mark.parametrize(("expression", "legend"), QUERIES)
def test_every_query_names_only_what_the_contract_holds(expression, legend):
    assert problems(plain(expression)) == []


@pytest.mark.parametrize(("expression", "legend"), QUERIES)
def test_a_legend_names_labels_that_its_series_may_have(expression, legend):
    what = named(plain(expression))
    known = set(what.made) | TARGET_LABELS | RECORDED_LABELS
    for selector in what.selectors:
        known |= {label.name for label in by_series()[selector.name].labels} if selector.name in by_series() else set()
    assert {part.partition("}}")[0] for part in legend.split("{{")[1:]} <= known


@pytest.mark.parametrize(("expression", "legend"), QUERIES)
def test_every_query_is_of_the_chosen_namespaces(expression, legend):
    ours = [one for one in named(expression.replace("$__rate_interval", "1m")).selectors if one.name != "ALERTS"]
    narrowed = [
        one for one in ours if any(m.name == "namespace" and m.value == "$namespace" for m in one.matchers.matchers)
    ]
    # What is joined by its namespace, or has none, is narrowed by the other side.
    assert narrowed or not ours
    assert {one.name for one in ours if one not in narrowed} <= {"nhip:slo_allowed:ratio"}


def test_uids_titles_and_panels_are_each_one_s_own():
    assert len({board["title"] for board in BOARDS.values()}) == len(DASHBOARDS) == len(BOARDS) >= 10
    for board in BOARDS.values():
        titles = [panel["title"] for panel in board["panels"]]
        assert len(titles) == len(set(titles))
        assert [panel["id"] for panel in board["panels"]] == list(range(1, len(titles) + 1))


def test_panels_lie_side_by_side_and_on_no_other():
    for board in BOARDS.values():
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= WIDE
            assert not cells & taken
            taken |= cells


def test_data_source_and_namespace_are_chosen_by_the_reader():
    for board in BOARDS.values():
        names = [variable["name"] for variable in board["templating"]["list"]]
        assert names[:2] == ["datasource", "namespace"]
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
        used = {name for name in ("job",) if f"${name}" in json.dumps(board["panels"])}
        assert set(names[2:]) == used


def test_every_panel_says_what_it_shows():
    assert all(panel["description"].endswith(".") for board in BOARDS.values() for panel in board["panels"])
