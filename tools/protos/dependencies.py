"""The descriptors that our protos import but do not own, taken from the packages that ship them.

Nothing is vendored: google/api comes from googleapis-common-protos, buf/validate from protovalidate, google/protobuf from
protobuf itself.
"""

import importlib

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2


def dependency_set() -> descriptor_pb2.FileDescriptorSet:
    """A FileDescriptorSet of every imported file, in dependency order."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2, http_pb2, annotations_pb2):
        files.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
    files.file.append(_buf_validate())
    return files


def _buf_validate() -> descriptor_pb2.FileDescriptorProto:
    # protovalidate carries the schema it validates by, in its own generated form; the descriptor is the public part.
    module = importlib.import_module("protovalidate._gen.buf.validate.validate_pb")
    file = descriptor_pb2.FileDescriptorProto()
    file.ParseFromString(module.desc().proto.to_binary())
    return file
