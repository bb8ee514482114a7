"""Code lists of the 43 files, by file and column.

Lists change between years. These are the ones published with v2.4.1; `tools/f43_schema.py` rebuilds them.
"""

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType


def _load() -> tuple[Mapping[tuple[str, str], frozenset[str]], Mapping[tuple[str, str], Mapping[str, str]]]:
    text = resources.files(__package__).joinpath("data/codes.tsv").read_text(encoding="utf-8")
    lists: dict[str, dict[str, str]] = {}
    for line in text.splitlines()[1:]:
        columns, code, name = line.split("\t")
        lists.setdefault(columns, {})[code] = name
    codes: dict[tuple[str, str], frozenset[str]] = {}
    names: dict[tuple[str, str], Mapping[str, str]] = {}
    for columns, entries in lists.items():
        of_list = frozenset(entries)
        shown = MappingProxyType({code: name for code, name in entries.items() if name})
        for target in columns.split(","):
            file, _, column = target.partition(".")
            codes[file, column] = of_list
            names[file, column] = shown
    return MappingProxyType(codes), MappingProxyType(names)


CODES, NAMES = _load()
"""`CODES[file, column]` is the set of codes allowed there; `NAMES[file, column][code]` is what a code is called.

Names are kept for laboratory tests (English), vaccines, rights, provider types and charge items (Thai).
"""


def name_of(file: str, column: str, code: str) -> str | None:
    """What the code is called, or None if it is unknown or its list has no names."""
    return NAMES.get((file, column), {}).get(code)
