"""The grammar of FHIRPath: text → a tree of tuples.

("name", text) · ("literal", value) · ("empty",) · ("variable", text) · ("this",) · ("index",) · ("step", left, node) ·
("call", name, arguments) · ("at", left, index) · ("op", operator, left, right) · ("minus", node) · ("is" | "as", left, type)
"""

import re
from typing import Any, Final

Node = tuple[Any, ...]

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<datetime>@[0-9T][0-9:.T+\-Z]*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<string>'(?:[^'\\]|\\.)*')
      | (?P<quoted>`(?:[^`\\]|\\.)*`)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|`[^`]*`|'[^']*'))
      | (?P<special>\$(?:this|index|total))
      | (?P<symbol><=|>=|!=|!~|[()\[\]{}.,|&=~<>+\-*/])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
# From the loosest to the tightest.
_LEVELS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "!=", "~", "!~"}),
    frozenset({"<", ">", "<=", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
)
_MAX_DEPTH: Final = 60


class FhirPathError(ValueError):
    """An expression that is none, or that asks for what is not understood."""


def parse_expression(text: str) -> Node:
    """The tree of an expression. Raises FhirPathError."""
    return _Parser(text).whole()


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        escaped = match[1]
        return chr(int(escaped[1:], 16)) if escaped[0] == "u" and len(escaped) > 1 else _ESCAPES.get(escaped, escaped)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", one, text, flags=re.DOTALL)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._level(0)
        if self._at != len(self._tokens):
            raise self._wrong()
        return node

    def _split(self) -> list[tuple[str, str]]:
        tokens, at, text = [], 0, self._text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise FhirPathError(f"the expression is not understood at character {at + 1}")
            if match.lastgroup != "comment":
                tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return tokens

    def _wrong(self) -> FhirPathError:
        return FhirPathError(f"the expression is not understood at its part {self._at + 1}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self, *texts: str) -> str:
        kind, text = self._peek()
        if kind in {"symbol", "name"} and text in texts:
            self._at += 1
            return text
        return ""

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong()

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        self._depth += 1
        if self._depth > _MAX_DEPTH * len(_LEVELS):
            raise FhirPathError("the expression is nested too deeply")
        left = self._level(level + 1)
        while operator := self._take(*_LEVELS[level]):
            if operator in {"is", "as"}:
                left = (operator, left, self._type_name())
            else:
                left = ("op", operator, left, self._level(level + 1))
        self._depth -= 1
        return left

    def _type_name(self) -> str:
        kind, text = self._peek()
        if kind not in {"name", "quoted"}:
            raise self._wrong()
        self._at += 1
        if self._take("."):
            text = self._peek()[1]
            self._at += 1
        return text.strip("`")

    def _unary(self) -> Node:
        if self._take("-"):
            return ("minus", self._unary())
        if self._take("+"):
            return self._unary()
        node = self._term()
        while True:
            if self._take("."):
                node = ("step", node, self._invocation())
            elif self._take("["):
                node = ("at", node, self._level(0))
                self._expect("]")
            else:
                return node

    def _term(self) -> Node:
        kind, text = self._peek()
        if self._take("("):
            node = self._level(0)
            self._expect(")")
            return node
        if self._take("{"):
            self._expect("}")
            return ("empty",)
        if kind == "variable":
            self._at += 1
            return ("variable", text[1:].strip("`'"))
        if kind in {"string", "number", "datetime"}:
            self._at += 1
            return ("literal", _literal(kind, text))
        if kind == "name" and text in {"true", "false"}:
            self._at += 1
            return ("literal", text == "true")
        return self._invocation()

    def _invocation(self) -> Node:
        kind, text = self._peek()
        self._at += 1
        if kind == "special":
            return ("this",) if text == "$this" else ("index",)
        if kind == "quoted":
            return ("name", _unescaped(text[1:-1]))
        if kind != "name":
            raise self._wrong()
        if not self._take("("):
            return ("name", text)
        arguments: list[Node] = []
        if not self._take(")"):
            arguments.append(self._level(0))
            while self._take(","):
                arguments.append(self._level(0))
            self._expect(")")
        return ("call", text, tuple(arguments))


def _literal(kind: str, text: str) -> Any:
    if kind == "string":
        return _unescaped(text[1:-1])
    if kind == "datetime":
        return text[1:].removeprefix("T").removesuffix("T")
    return float(text) if "." in text else int(text)
