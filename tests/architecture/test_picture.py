"""The arrows of docs/architecture.md §1 and those of the code are the same."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = {"identity", "patient_index", "records", "claims", "surveillance", "audit"}
EVERY = DOMAIN | {"exchange"}


def picture() -> str:
    return (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("```")[1]


def drawn_feeds() -> set[tuple[str, str]]:
    """(source, follower) of each ═══▶; `all` on the right are all services with a database but the source itself."""
    arrows = set()
    for line in picture().splitlines():
        found = re.match(r"\s*(\w+) ═══▶ ([\w, ]+?)(?:\s{2,}|$)", line)
        if found is None:
            continue
        sources = EVERY if found[1] == "all" else {found[1]}
        for follower in found[2].split(","):
            followers = EVERY - {found[1]} if follower.strip() == "all" else {follower.strip()}
            arrows |= {(source, one) for source in sources for one in followers}
    return arrows


def called(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") == name or getattr(node.func, "attr", "") == name)
    ]


def constants_of(tree: ast.AST) -> dict[str, object]:
    """Module-level names that hold a string or a tuple of strings."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def coded_feeds() -> set[tuple[str, str]]:
    arrows = {("identity", service) for service in EVERY - {"identity"}}
    for service in EVERY:
        for path in (ROOT / "services" / service).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for call in called(tree, "Subscription"):
                source = call.args[0]
                if isinstance(source, ast.Constant):
                    arrows.add((str(source.value), service))
                else:
                    # A loop over a named tuple of sources, as audit follows everybody.
                    names = [
                        value
                        for value in constants_of(tree).values()
                        if isinstance(value, tuple) and value and set(value) <= EVERY
                    ]
                    assert names, f"{path}: a subscription names its source by a string, or loops over a tuple of names"
                    arrows |= {(one, service) for value in names for one in value}
    return arrows


def coded_calls() -> set[str]:
    """The services that open channels for calls of their own."""
    callers = set()
    for folder in (ROOT / "services").iterdir():
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if called(tree, "channel") or called(tree, "open_channel"):
                callers.add(folder.name)
    return callers


def test_feeds_are_followed_where_the_picture_says_and_nowhere_else():
    assert coded_feeds() == drawn_feeds()


def test_only_the_edge_and_the_exchange_call():
    assert re.findall(r"─▶ (\w+) ─+", picture()) == ["edge", "exchange"]
    assert coded_calls() == {"edge", "exchange"}


def test_the_arrows_form_no_cycle():
    remaining = {arrow for arrow in drawn_feeds() if arrow[0] != arrow[1] and arrow != ("audit", "audit")}
    # Identity's keys reach all, and all reach audit: audit announces its own accesses to nobody but itself.
    while remaining:
        targets = {target for _, target in remaining}
        leaving = {arrow for arrow in remaining if arrow[0] not in targets}
        assert leaving, f"a cycle among {sorted(remaining)}"
        remaining -= leaving
