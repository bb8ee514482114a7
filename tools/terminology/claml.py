"""ClaML, in which the WHO gives out ICD-10 (CEN/TS 14463): chapters, blocks and categories with their rubrics."""

from collections.abc import Iterator

from lxml import etree

from tools.terminology.reading import Json, Source, SourceError


def concepts(source: Source) -> Iterator[Json]:
    """Each class; what it is right below is its superclass."""
    with source.member(".xml") as file:
        try:
            # No entity is resolved and nothing is fetched: the file is somebody else's.
            for _, element in etree.iterparse(
                file, events=("end",), tag="Class", resolve_entities=False, load_dtd=False, no_network=True
            ):
                yield _concept(element)
                element.clear()
        except etree.XMLSyntaxError as error:
            raise SourceError(f"{source.path.name}, line {error.lineno}: it is no sound XML") from None


def _concept(element: etree._Element) -> Json:
    labels: dict[str, str] = {}
    thai = ""
    for rubric in element.findall("Rubric"):
        for label in rubric.findall("Label"):
            text = " ".join("".join(str(part) for part in label.itertext()).split())
            language = label.get("{http://www.w3.org/XML/1998/namespace}lang", "en")
            if language.startswith("th") and rubric.get("kind") == "preferred":
                thai = text
            else:
                labels.setdefault(rubric.get("kind", ""), text)
    return {
        "code": element.get("code", ""),
        "display": labels.get("preferred", ""),
        "definition": labels.get("definition", ""),
        "parents": [one.get("code", "") for one in element.findall("SuperClass")],
        "designations": [{"language": "th", "text": thai}] if thai else [],
        "properties": [{"name": "kind", "text": element.get("kind", "")}],
    }
