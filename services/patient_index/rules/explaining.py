"""Why two registrations are thought to be one person, in words. Words name fields and levels, never anybody's values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from services.patient_index.model import Match

Language = Literal["th", "en"]
_WORDS: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
    resources.files(__package__).joinpath("words.json").read_text(encoding="utf-8")
)
_CONCLUSION = {
    "th": "{grade} (น้ำหนักรวม {weight} บิต){rule}",
    "en": "{grade} (weight {weight} bits together){rule}",
}
_BY_RULE = {"th": " ตามกฎ: {rule}", "en": ", by the rule: {rule}"}
_CERTAIN_BITS = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """One field: what was found, what it weighs, and the sum up to it, in bits."""

    field: str
    level: str
    weight: float
    total: float
    name: str
    finding: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A match in words."""

    match: Match
    prior: float
    steps: tuple[Step, ...]
    conclusion: str
    language: Language


def explain(match: Match, language: Language) -> Explanation:
    """A match that was weighed thoroughly, in a language."""
    prior = match.weight - sum(one.weight for one in match.fields)
    total = prior
    steps = []
    for one in match.fields:
        total += one.weight
        name, finding = word("fields", one.field, language), word("levels", one.level, language)
        steps.append(Step(one.field, one.level, one.weight, total, name, finding))
    rule = _BY_RULE[language].format(rule=word("rules", match.rule, language)) if match.rule else ""
    grade = word("grades", match.grade.name.lower(), language)
    conclusion = _CONCLUSION[language].format(grade=grade, weight=bits(match.weight), rule=rule)
    return Explanation(match, prior, tuple(steps), conclusion[:1].upper() + conclusion[1:], language)


def word(kind: str, name: str, language: Language) -> str:
    """What a field, level, rule or grade is called; its own name where a newer model has one that has no words yet."""
    return _WORDS[kind].get(name, {}).get(language) or name.replace("_", " ").replace("-", " ")


def bits(weight: float) -> str:
    """A weight with its sign, to a tenth: +12.3, −4.0, 0."""
    if abs(weight) < _CERTAIN_BITS:
        return "0"
    sign = "+" if weight > 0 else "\u2212"
    return f"{sign}{abs(weight):.1f}"
