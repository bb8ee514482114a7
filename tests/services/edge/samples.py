"""Messages filled in, field by field, from their descriptors."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DEPTH = 4


def sample(descriptor: Descriptor, depth: int = 0) -> Message:
    """A message of the type with every field set, nested ones down to a depth."""
    message = GetMessageClass(descriptor)()
    if descriptor.full_name == "google.protobuf.Timestamp":
        message.FromJsonString("2026-01-31T09:30:00.250Z")
        return message
    for field in descriptor.fields:
        if field.message_type is not None and depth >= DEPTH:
            continue
        if field.is_repeated:
            for _ in range(2):
                if field.message_type is not None:
                    getattr(message, field.name).append(sample(field.message_type, depth + 1))
                else:
                    getattr(message, field.name).append(_scalar(field))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(sample(field.message_type, depth + 1))
        else:
            setattr(message, field.name, _scalar(field))
    return message


def _scalar(field: FieldDescriptor) -> object:
    kinds = FieldDescriptor
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.type == kinds.TYPE_STRING:
        return f"{field.name} ก/ข?:"
    if field.type == kinds.TYPE_BYTES:
        return b"\x00\xff\xfe" + field.name.encode()
    if field.type == kinds.TYPE_BOOL:
        return True
    if field.type in {kinds.TYPE_DOUBLE, kinds.TYPE_FLOAT}:
        return 0.25
    return 7
