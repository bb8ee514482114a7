"""The part of FHIRPath that the search parameters of the specification are written in, compiled to walks over JSON.

Understood: `Type.a.b`, `a[0]`, unions with `|`, `(x as T)`, `.as(T)`, `.ofType(T)`, `.where(resolve() is T)`,
`.where(name='value')`. A choice element (`value[x]`) becomes the JSON names of its types. Of a composite's parts the
expressions begin at the element that the composite is of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from libs.fhir.definitions import Element, definitions

_TOKEN = re.compile(r"\s*(?:(%?[A-Za-z_][A-Za-z0-9_-]*|[0-9]+)|'([^']*)'|([().|=\[\]]))")


class PathError(ValueError):
    """An expression outside of what is understood."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What an element must meet: `resolve() is Patient` (name empty), or `system = 'phone'`."""

    name: str
    value: str

    def holds(self, element: Any) -> bool:
        """True if the element, an object, meets it."""
        if not isinstance(element, dict):
            return False
        if self.name:
            return bool(element.get(self.name) == self.value)
        reference = element.get("reference")
        if not isinstance(reference, str):
            return bool(element.get("type") == self.value)
        return reference.startswith(self.value + "/") or f"/{self.value}/" in reference


@dataclass(frozen=True, slots=True)
class Step:
    """From an object to what stands under a JSON name, if it meets the condition."""

    key: str
    condition: Condition | None = None
    # Of a list only this one; -1 for all.
    index: int = -1


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through a resource, to elements of one type."""

    steps: tuple[Step, ...]
    # The type of what is found, and the value set that its codes are of, or empty.
    type: str
    value_set: str = ""

    def values(self, resource: dict[str, Any]) -> list[Any]:
        """The elements found, arrays opened."""
        found: list[Any] = [resource]
        for step in self.steps:
            below: list[Any] = []
            for one in found:
                child = one.get(step.key) if type(one) is dict else None
                if type(child) is list:
                    below.extend(child if step.index < 0 else child[step.index : step.index + 1])
                elif child is not None:
                    below.append(child)
            condition = step.condition
            found = below if condition is None else [one for one in below if condition.holds(one)]
        return found

    @property
    def path(self) -> str:
        """The JSON names on the way, and what is asked of them; without what a reference points at."""
        return ".".join(_text(step) for step in self.steps)

    @property
    def json_path(self) -> str:
        """The way as SQL/JSON writes it, strict on nothing: `$.telecom[*]?(@.system == "phone").value`."""
        return "$" + "".join(_json_text(step) for step in self.steps)


def _text(step: Step) -> str:
    condition = step.condition
    asked = f"[{condition.name}={condition.value}]" if condition is not None and condition.name else ""
    return f"{step.key}{asked}" if step.index < 0 else f"{step.key}[{step.index}]{asked}"


def _json_text(step: Step) -> str:
    found = f'."{step.key}"[{"*" if step.index < 0 else step.index}]'
    condition = step.condition
    if condition is None:
        return found
    if condition.name:
        return f'{found}?(@."{condition.name}" == "{condition.value}")'
    kind = condition.value
    return f'{found}?(@."type" == "{kind}" || @."reference" like_regex "(^|/){kind}/")'


def compile_path(expression: str, resource_type: str, base: Walk | None = None) -> tuple[Walk, ...]:
    """The walks of an expression over resources of a type; with `base`, from the elements that it leads to.

    Raises PathError.
    """
    reader = _Reader(expression, resource_type, base)
    walks = list(reader.term())
    while reader.take("|"):
        walks.extend(reader.term())
    if not reader.at_end() or not walks:
        raise PathError(expression)
    return tuple(walks)


class _Reader:
    """Reads an expression from left to right, keeping where each way through the type has come to."""

    def __init__(self, expression: str, resource_type: str, base: Walk | None) -> None:
        self._type = resource_type
        self._base = base
        self._expression = expression
        self._tokens = list(self._split(expression))
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def take(self, token: str) -> bool:
        if not self.at_end() and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def term(self) -> tuple[Walk, ...]:
        if self.take("("):
            walks = self.term()
            if self.take("as"):
                walks = self._cast(walks, self._next())
            self._expect(")")
        else:
            walks = self._root(self._next())
        while True:
            if self.take("."):
                walks = self._member(walks, self._next())
            elif self.take("["):
                walks = self._indexed(walks, self._next())
            else:
                return walks

    def _root(self, name: str) -> tuple[Walk, ...]:
        if self._base is not None and name != "%resource":
            return self._member((replace(self._base, steps=()),), name)
        if name not in {self._type, "Resource", "DomainResource", "%resource"}:
            raise PathError(self._expression)
        return (Walk((), self._type),)

    def _indexed(self, walks: tuple[Walk, ...], number: str) -> tuple[Walk, ...]:
        self._expect("]")
        if not number.isdigit():
            raise PathError(self._expression)
        return tuple(
            replace(walk, steps=(*walk.steps[:-1], replace(walk.steps[-1], index=int(number)))) for walk in walks
        )

    def _member(self, walks: tuple[Walk, ...], name: str) -> tuple[Walk, ...]:
        if not self.take("("):
            return tuple(self._below(walks, name))
        if name in {"as", "ofType"}:
            walks = self._cast(walks, self._next())
        elif name == "where":
            walks = self._where(walks)
        else:
            raise PathError(self._expression)
        self._expect(")")
        return walks

    def _where(self, walks: tuple[Walk, ...]) -> tuple[Walk, ...]:
        name = self._next()
        if name == "resolve":
            for token in ("(", ")", "is"):
                self._expect(token)
            condition = Condition("", self._next())
        else:
            self._expect("=")
            condition = Condition(name, self._next())
        return tuple(
            replace(walk, steps=(*walk.steps[:-1], replace(walk.steps[-1], condition=condition))) for walk in walks
        )

    def _below(self, walks: tuple[Walk, ...], name: str) -> Iterator[Walk]:
        for walk in walks:
            element = _element(walk.type, name)
            if element is None:
                raise PathError(self._expression)
            for key, type_name in element.json_names().items():
                yield Walk((*walk.steps, Step(key)), type_name.removeprefix("@"), element.value_set)

    def _cast(self, walks: tuple[Walk, ...], name: str) -> tuple[Walk, ...]:
        # Some expressions write a primitive's name as a class's: DateTime.
        wanted = {name, name[:1].lower() + name[1:]}
        return tuple(walk for walk in walks if walk.type in wanted)

    def _next(self) -> str:
        if self.at_end():
            raise PathError(self._expression)
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise PathError(self._expression)

    @staticmethod
    def _split(expression: str) -> Iterator[str]:
        at = 0
        text = expression.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise PathError(expression)
            at = match.end()
            yield next(group for group in match.groups() if group is not None)


def _element(type_name: str, name: str) -> Element | None:
    structure = definitions().structures.get(type_name, ())
    return next((one for one in structure if one.name == name), None)
