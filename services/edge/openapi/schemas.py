"""Messages as JSON Schema (2020-12, as OpenAPI 3.1 has it): types, buf.validate rules as constraints, comments as words."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import orjson
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from nhip.options.v1 import options_pb2

from services.edge.decoding import TIMESTAMP

Schema = dict[str, Any]
_F = FieldDescriptor
_WIDE = frozenset({_F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_SINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64})
_NARROW = frozenset({_F.TYPE_INT32, _F.TYPE_UINT32, _F.TYPE_SINT32, _F.TYPE_FIXED32, _F.TYPE_SFIXED32})
_BOUNDS = (("gte", "minimum"), ("lte", "maximum"), ("gt", "exclusiveMinimum"), ("lt", "exclusiveMaximum"))


@cache
def comments() -> Mapping[str, str]:
    """The protos' comments by full name."""
    found: dict[str, str] = orjson.loads(resources.files(__package__).joinpath("comments.json").read_bytes())
    return found


def name_of(descriptor: Descriptor | EnumDescriptor) -> str:
    """`nhip.patient_index.v1.Registration` as `patient_index.Registration`."""
    return str(descriptor.full_name).removeprefix("nhip.").replace(".v1.", ".")


class Schemas:
    """Collects the schemas that are referred to."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}

    def reference(self, descriptor: Descriptor, without: frozenset[str] = frozenset()) -> Schema:
        """A reference to a message's schema, without the fields that stand elsewhere in the request."""
        name = name_of(descriptor)
        if name not in self.found:
            # Set before its fields are looked at: a message may hold itself.
            schema = self.found[name] = {}
            schema.update(self._object(descriptor, without))
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor) -> Schema:
        """A field's schema, with its comment and its rules."""
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if field.is_repeated:
            schema: Schema = {"type": "array", "items": self._single(field, rules.repeated.items)}
            _copy(rules.repeated, (("min_items", "minItems"), ("max_items", "maxItems")), schema)
        else:
            schema = self._single(field, rules)
        comment = comments().get(field.full_name, "")
        if field.GetOptions().Extensions[options_pb2.personal]:
            comment = f"{comment} Personal data.".strip()
        return {**schema, "description": comment} if comment else schema

    def _object(self, descriptor: Descriptor, without: frozenset[str]) -> Schema:
        fields = [field for field in descriptor.fields if field.name not in without]
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self.field(field) for field in fields},
            "additionalProperties": False,
        }
        if comment := comments().get(descriptor.full_name):
            schema["description"] = comment
        required = [field.json_name for field in fields if field.GetOptions().Extensions[validate_pb2.field].required]
        if required:
            schema["required"] = required
        return schema

    def _single(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Schema:
        if field.message_type is not None:
            if field.message_type.full_name == TIMESTAMP:
                return {"type": "string", "format": "date-time"}
            return self.reference(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return _scalar(field.type, rules)

    def _enum(self, descriptor: EnumDescriptor) -> Schema:
        name = name_of(descriptor)
        if name not in self.found:
            known = comments()
            # A value's comment is filed under the enum that holds it.
            said = {value.name: known.get(f"{descriptor.full_name}.{value.name}", "") for value in descriptor.values}
            lines = [known.get(descriptor.full_name, ""), *(f"{one}: {text}" for one, text in said.items() if text)]
            self.found[name] = {"type": "string", "enum": list(said)}
            if description := "\n".join(filter(None, lines)):
                self.found[name]["description"] = description
        return {"$ref": f"#/components/schemas/{name}"}


def _scalar(kind: int, rules: validate_pb2.FieldRules) -> Schema:
    if kind == _F.TYPE_STRING:
        return _string(rules.string)
    if kind == _F.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    if kind == _F.TYPE_BOOL:
        return {"type": "boolean"}
    schema: Schema = {"type": "number"}
    if kind in _WIDE:
        # JSON numbers lose digits beyond 2^53, so answers write 64 bits as a string; requests may do either.
        schema = {"type": ["string", "integer"], "format": "int64"}
    elif kind in _NARROW:
        schema = {"type": "integer", "format": "int32"}
    chosen = rules.WhichOneof("type")
    if chosen in {"int32", "uint32", "int64", "uint64", "double", "float"}:
        _copy(getattr(rules, chosen), _BOUNDS, schema)
    return schema


def _string(rules: validate_pb2.StringRules) -> Schema:
    schema: Schema = {"type": "string"}
    _copy(rules, (("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")), schema)
    allowed = list(getattr(rules, "in"))
    if allowed:
        schema["enum"] = allowed
    return schema


def _copy(rules: Any, names: tuple[tuple[str, str], ...], schema: Schema) -> None:
    for rule, keyword in names:
        if rules.HasField(rule):
            schema[keyword] = getattr(rules, rule)
