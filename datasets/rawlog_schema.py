"""The raw log's message types, as protobuf descriptors that travel in every file (no protoc, no generated code).

``telerig.Vector`` carries one sample of a numeric stream; names, units and frames stand in the channel's metadata.
``telerig.Event`` is an event.  Images are ``foxglove.CompressedImage`` with one field more, number 1000, which holds
the instants (viewers that know only Foxglove's type skip it).  docs/formats.md is the reference.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from telerig.hardware.specs import BlobSpec, StreamSpec

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

SCHEMA_VERSION = 1
PROFILE = "telerig"
DEPTH_MEDIA_TYPE = "application/x-telerig-depth"
VECTOR, EVENT, IMAGE, CALIBRATION = (
    "telerig.Vector",
    "telerig.Event",
    "foxglove.CompressedImage",
    "foxglove.CameraCalibration",
)
EXTRA = 1000  # the field number of telerig.Vector inside foxglove.CompressedImage

# name: ((field, number, type, repeated or optional or ""), ...).  Numbers are for ever: never reuse one.
_MESSAGES: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "Stamp": (
        ("seq", 1, "sfixed64", ""),
        ("seq_device", 2, "sfixed64", "optional"),
        ("t_device", 3, "sfixed64", "optional"),
        ("t_arrival", 4, "sfixed64", ""),
        ("t_sample", 5, "sfixed64", ""),
        ("sigma_t", 6, "sfixed64", ""),
        ("spaced", 7, "bool", ""),
        ("valid", 8, "bytes", "optional"),
    ),
    "Vector": (
        ("stamp", 1, ".telerig.Stamp", ""),
        ("doubles", 2, "double", "repeated"),
        ("floats", 3, "float", "repeated"),
        ("integers", 4, "sfixed64", "repeated"),
        ("blobs", 5, "bytes", "repeated"),
    ),
    "Event": (
        ("stamp", 1, ".telerig.Stamp", ""),
        ("level", 2, "string", ""),
        ("source", 3, "string", ""),
        ("code", 4, "string", ""),
        ("text", 5, "string", ""),
        ("data", 6, "string", ""),
        ("json", 7, "bytes", ""),
    ),
}


def kind_of(spec: StreamSpec) -> str:
    """The message type a stream is written as: :data:`EVENT`, :data:`IMAGE` or :data:`VECTOR`."""
    if len(spec.blobs) == 1:
        media = spec.blobs[0].media_type
        if media == "application/json" and not spec.arrays and spec.name.endswith("/events"):
            return EVENT
        if media.startswith("image/") or media == DEPTH_MEDIA_TYPE:
            return IMAGE
    return VECTOR


def image_format(blob: BlobSpec) -> str:
    """What ``foxglove.CompressedImage.format`` says: ``jpeg``, ``png``, or ``telerig-depth`` for 16 bit depth."""
    return "telerig-depth" if blob.media_type == DEPTH_MEDIA_TYPE else blob.media_type.removeprefix("image/")


@cache
def descriptor_set(schema: str) -> bytes:
    """A serialized ``FileDescriptorSet`` for one of the four message types, dependencies first.

    The bytes are the same in every run: files that hold the same samples are the same.
    """
    from google.protobuf import timestamp_pb2
    from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

    own = _own_file()
    stamp = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    files: list[FileDescriptorProto]
    if schema in (VECTOR, EVENT):
        files = [own]
    elif schema == IMAGE:
        from foxglove_schemas_protobuf import CompressedImage_pb2

        image = FileDescriptorProto.FromString(CompressedImage_pb2.DESCRIPTOR.serialized_pb)
        image.dependency.append(own.name)
        _add_field(image.message_type[0], ("telerig", EXTRA, ".telerig.Vector", ""))
        files = [stamp, own, image]
    else:
        from foxglove_schemas_protobuf import CameraCalibration_pb2

        files = [stamp, FileDescriptorProto.FromString(CameraCalibration_pb2.DESCRIPTOR.serialized_pb)]
    return FileDescriptorSet(file=files).SerializeToString(deterministic=True)


def _own_file() -> FileDescriptorProto:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name="telerig/log.proto", package="telerig", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for item in fields:
            _add_field(message, item)
    return file


def _add_field(message: DescriptorProto, item: tuple[str, int, str, str]) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    name, number, kind, label = item
    field = message.field.add(name=name, number=number, json_name=name)
    field.label = Field.LABEL_REPEATED if label == "repeated" else Field.LABEL_OPTIONAL
    if kind.startswith("."):
        field.type, field.type_name = Field.TYPE_MESSAGE, kind
    else:
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    if label == "optional":  # proto3 presence is a one-of of its own
        field.proto3_optional, field.oneof_index = True, len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
