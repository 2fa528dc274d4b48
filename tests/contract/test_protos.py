"""Protos: a stranger can use them from their comments alone, and the gateway from their options alone."""

import importlib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from codebase import ROOT, files, text
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from igstats.api.v1 import access_pb2
from igstats.error.v1 import error_reason_pb2

PROTOS = [name for name in files() if name.startswith("protos/igstats/") and name.endswith(".proto")]
DECLARATION = re.compile(
    r"^\s*(service|rpc|message|enum|oneof|repeated|map<|optional|[\w.]+\s+\w+\s*=\s*\d+|[A-Z0-9_]+\s*=)"
)
OPTION = re.compile(r"^\s*(option\b|reserved\b|\w+:|\]|\}|syntax|package|import|//)")


def descriptor(name: str) -> FileDescriptor:
    module = PurePosixPath(name).relative_to("protos").with_suffix("")
    found: FileDescriptor = importlib.import_module(".".join(module.parts) + "_pb2").DESCRIPTOR
    return found


DESCRIPTORS = [descriptor(name) for name in PROTOS]


def methods(package: str = "igstats.") -> list[MethodDescriptor]:
    return [
        method
        for file in DESCRIPTORS
        if file.package.startswith(package)
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def messages() -> Iterator[Descriptor]:
    for file in DESCRIPTORS:
        pending = list(file.message_types_by_name.values())
        while pending:
            message = pending.pop()
            if not message.GetOptions().map_entry:
                yield message
            pending.extend(message.nested_types)


def fields() -> Iterator[FieldDescriptor]:
    for message in messages():
        yield from message.fields


def enums() -> Iterator[EnumDescriptor]:
    for file in DESCRIPTORS:
        yield from file.enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def uncommented(name: str) -> list[str]:
    """Declarations whose line before is no comment."""
    found, before = [], ""
    for number, line in enumerate(text(name).splitlines(), 1):
        if DECLARATION.match(line) and not OPTION.match(line) and not before.lstrip().startswith("//"):
            found.append(f"{name}:{number} {line.strip()}")
        before = line
    return found


@pytest.mark.parametrize("name", PROTOS)
def test_every_message_field_rpc_and_value_has_a_comment(name: str) -> None:
    assert uncommented(name) == []


def test_a_missing_comment_would_be_found() -> None:
    assert DECLARATION.match("  string holder = 1;")
    assert DECLARATION.match("  rpc GetRequest(GetRequestRequest) returns (GetRequestResponse);")
    assert not DECLARATION.match("    min_len: 1")


@pytest.mark.parametrize("name", PROTOS)
def test_package_folder_and_import_are_the_same(name: str) -> None:
    assert descriptor(name).package == ".".join(PurePosixPath(name).relative_to("protos").parent.parts)


def test_every_public_method_says_its_path_scope_and_cost() -> None:
    incomplete = [
        method.full_name
        for method in methods("igstats.api.v1")
        if not method.GetOptions().HasExtension(annotations_pb2.http)
        or not method.GetOptions().Extensions[access_pb2.access].scope
        or method.GetOptions().Extensions[access_pb2.access].cost < 1
    ]
    assert incomplete == []


def test_only_public_methods_are_reachable_over_http() -> None:
    internal = [method for method in methods() if not method.containing_service.file.package.startswith("igstats.api.")]
    assert [method.full_name for method in internal if method.GetOptions().HasExtension(annotations_pb2.http)] == []


def test_no_two_public_methods_share_a_path() -> None:
    paths = []
    for method in methods("igstats.api.v1"):
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        paths.append((verb, re.sub(r"\{[^}]*\}", "{}", getattr(rule, verb))))
    assert len(paths) == len(set(paths))


def test_every_method_has_a_request_and_a_response_of_its_own() -> None:
    shared = [
        method.full_name
        for method in methods()
        if (method.input_type.name, method.output_type.name) != (f"{method.name}Request", f"{method.name}Response")
    ]
    assert shared == []


def test_times_end_in_time_and_are_timestamps() -> None:
    stamps = {"google.protobuf.Timestamp"}
    wrong = [
        field.full_name
        for field in fields()
        if (field.message_type is not None and field.message_type.full_name in stamps) != field.name.endswith("_time")
    ]
    assert wrong == []


def test_identifiers_of_things_are_named_after_the_thing() -> None:
    assert [field.full_name for field in fields() if field.name in {"id", "ids", "uuid"}] == []


def test_the_first_value_of_an_enum_is_unspecified() -> None:
    assert [enum.full_name for enum in enums() if not enum.values_by_number[0].name.endswith("_UNSPECIFIED")] == []


def test_error_reasons_have_no_gaps() -> None:
    numbers = sorted(error_reason_pb2.ErrorReason.values())
    assert numbers == list(range(len(numbers)))


def test_every_event_names_the_subject_it_travels_on_or_is_part_of_one_that_does() -> None:
    source = text("protos/igstats/event/v1/events.proto")
    carried = set(re.findall(r"repeated (\w+) \w+ = ", source))
    described = {
        name for comment, name in re.findall(r"((?://.*\n)+)message (\w+)", source) if "Subject igstats." in comment
    }
    everything = set(re.findall(r"^message (\w+)", source, re.MULTILINE))
    assert everything - carried - described == set()


def test_the_stubs_are_marked_as_typed() -> None:
    assert (ROOT / "protos/python/igstats/py.typed").is_file()
