"""The descriptors of testing.proto, compiled when tests ask for them: nothing of it is generated into the product."""

import tempfile
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc
from nhip.options.v1 import options_pb2

from tools.protos.dependencies import dependency_set

_HERE = Path(__file__).parent


@cache
def the_testing_file() -> FileDescriptor:
    """testing.proto in the pool that generated modules share, so that their extensions are understood."""
    with tempfile.TemporaryDirectory() as scratch:
        known = dependency_set()
        known.file.add().ParseFromString(options_pb2.DESCRIPTOR.serialized_pb)
        Path(scratch, "known.binpb").write_bytes(known.SerializeToString())
        code = protoc.main(
            [
                "protoc",
                f"--descriptor_set_in={scratch}/known.binpb",
                f"--proto_path={_HERE}",
                f"--descriptor_set_out={scratch}/out.binpb",
                "testing.proto",
            ]
        )
        assert code == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(scratch, "out.binpb").read_bytes())
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(files.file[0].SerializeToString())
    return pool.FindFileByName("testing.proto")


def thing(**fields: object):
    """A Thing."""
    return GetMessageClass(the_testing_file().message_types_by_name["Thing"])(**fields)
