"""The protos' comments, for the API documentation.

Descriptors in Python carry no comments, so `tools.protos.generate` keeps them beside the edge, by full name.
"""

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2

# Field numbers of FileDescriptorProto, DescriptorProto, EnumDescriptorProto and ServiceDescriptorProto, of which the
# paths of source locations are made.
_CHILDREN = {
    "file": {4: "message_type", 5: "enum_type", 6: "service"},
    "message_type": {2: "field", 3: "message_type", 4: "enum_type"},
    "enum_type": {2: "value"},
    "service": {2: "method"},
}
_NESTED = {"message_type": "nested_type"}


def comments_text(image: bytes) -> str:
    """JSON: full name of each message, field, enum, value, service and method of ours → its comment.

    `image` is a FileDescriptorSet with source info.
    """
    found: dict[str, str] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
        if file.package.startswith("nhip."):
            found.update(_of_file(file))
    return json.dumps(found, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        text = " ".join(location.leading_comments.split())
        name = _name_at(file, list(location.path)) if text else ""
        if name:
            yield f"{file.package}.{name}", text


def _name_at(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str:
    """The dotted name of what a source path leads to; empty for options and other details."""
    kind: str = "file"
    holder: Any = file
    names: list[str] = []
    for number, index in zip(path[::2], path[1::2], strict=False):
        child = _CHILDREN.get(kind, {}).get(number)
        if child is None:
            return ""
        attribute = _NESTED.get(child, child) if kind == "message_type" else child
        holder = getattr(holder, attribute)[index]
        names.append(holder.name)
        kind = child
    return ".".join(names) if len(path) % 2 == 0 else ""
