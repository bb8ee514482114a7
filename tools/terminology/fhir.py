"""CodeSystem and ConceptMap resources as JSON."""

from collections.abc import Iterable, Iterator

import orjson

from tools.terminology.reading import Json, Source, SourceError


def concepts(source: Source) -> Iterator[Json]:
    """The concepts of a CodeSystem, hierarchy included."""
    yield from _flat(_read(source, "CodeSystem").get("concept", ()), "")


def mappings(source: Source) -> Iterator[Json]:
    """The lines of a ConceptMap."""
    for group in _read(source, "ConceptMap").get("group", ()):
        for element in group.get("element", ()):
            for target in element.get("target", ()):
                if target.get("code"):
                    yield {
                        "sourceSystem": group.get("source", ""),
                        "sourceCode": element["code"],
                        "targetSystem": group.get("target", ""),
                        "targetCode": target["code"],
                        "equivalence": target.get("equivalence", ""),
                        "targetDisplay": target.get("display", ""),
                    }


def _read(source: Source, resource_type: str) -> Json:
    with source.member(".json") as file:
        try:
            document = orjson.loads(file.read())
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{source.path.name}, line {error.lineno}: {error.msg}") from None
    if not isinstance(document, dict) or document.get("resourceType") != resource_type:
        raise SourceError(f"{source.path.name}: this is no {resource_type}")
    return document


def _flat(concepts: Iterable[Json], parent: str) -> Iterator[Json]:
    for one in concepts:
        properties = [
            (part.get("code", ""), value.get("code", "") if isinstance(value, dict) else value)
            for part in one.get("property", ())
            for name, value in part.items()
            if name.startswith("value")
        ]
        parents = [
            *([parent] if parent else []),
            *(str(text) for name, text in properties if name in {"parent", "subsumedBy"}),
        ]
        yield {
            "code": one["code"],
            "display": one.get("display", ""),
            "definition": one.get("definition", ""),
            "parents": list(dict.fromkeys(parents)),
            "designations": [
                {"language": part.get("language", ""), "text": part["value"]} for part in one.get("designation", ())
            ],
            "properties": [
                {"name": name, "text": str(text).lower() if isinstance(text, bool) else str(text)}
                for name, text in properties
                if name
            ],
            "isInactive": ("inactive", True) in properties or ("status", "retired") in properties,
        }
        yield from _flat(one.get("concept", ()), one["code"])
