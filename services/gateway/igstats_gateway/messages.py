"""JSON in and out of protobuf messages, strictly: what we do not know is refused by name, and nothing is left out.

Differences to plain proto3 JSON: 64-bit numbers below 2^53 are printed as numbers, and zeros are printed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from igstats_kit.errors import DomainError, Reason, Violation

_EXACT = 2**53
_WIDE = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_FAILED_FIELD = re.compile(r"Failed to parse (\w+) field")


def invalid(field: str, description: str) -> DomainError:
    """The body or query is wrong at `field`."""
    violations = [Violation(field, description)]
    if not field:
        return DomainError(Reason.BODY_INVALID, violations=violations)
    return DomainError(Reason.BODY_INVALID, violations=violations, field=field)


def parse_object(body: bytes) -> dict[str, Any]:
    """Reads a JSON object; an empty body is an empty object.

    Raises:
        DomainError: BODY_INVALID: no JSON, no object, a field twice, a number that JSON does not know, or half a
            surrogate pair, which no text of ours can hold (RFC 8259, section 8.2).
    """
    try:
        value = json.loads(body.decode("utf-8-sig") or "{}", object_pairs_hook=_once, parse_constant=_refuse_constant)
        encode([value])
    except (ValueError, RecursionError) as error:
        raise invalid("", "is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise invalid("", "must be a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        name.encode()
        if name in found:
            raise invalid(name, "is given twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise invalid("", f"{name} is not a JSON number")


def fill(message: Message, values: Mapping[str, Any]) -> None:
    """Sets the fields of `message` from parsed JSON.

    Raises:
        DomainError: BODY_INVALID, naming the field.
    """
    _require_known(descriptor_of(message), values, "")
    try:
        json_format.ParseDict(dict(values), message)
    except json_format.ParseError as error:
        path = ".".join(_FAILED_FIELD.findall(str(error)))
        raise invalid(path, "has a value of the wrong kind") from error


def field_of(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """The field with this proto name or JSON name."""
    found: FieldDescriptor | None = descriptor.fields_by_name.get(name)
    return found or descriptor.fields_by_camelcase_name.get(name)


def _require_known(descriptor: Descriptor, values: Mapping[str, Any], at: str) -> None:
    seen: set[int] = set()
    for name, value in values.items():
        field = field_of(descriptor, name)
        if field is None:
            raise invalid(at + name, f"is not a field; known are: {', '.join(_json_names(descriptor))}")
        if field.number in seen:
            raise invalid(at + name, "is given twice, by its two names")
        seen.add(field.number)
        if (inner := own_message(field)) is not None:
            for part in _objects(value):
                _require_known(inner, part, f"{at}{name}.")


def _json_names(descriptor: Descriptor) -> list[str]:
    return [field.json_name for field in descriptor.fields]


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, dict)]


def descriptor_of(message: Message | type[Message]) -> Descriptor:
    """The descriptor of a message, typed as what all runtimes share."""
    return cast("Descriptor", message.DESCRIPTOR)


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def own_message(field: FieldDescriptor) -> Descriptor | None:
    """The message that the field holds, when JSON shows it as an object with our field names."""
    inner = field.message_type
    if inner is None or is_map(field) or inner.full_name.startswith("google.protobuf."):
        return None
    return inner


def show(message: Message) -> dict[str, Any]:
    """The message as JSON values, zeros included."""
    shown = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    _widen(descriptor_of(message), shown)
    return shown


def _widen(descriptor: Descriptor, shown: dict[str, Any]) -> None:
    """Turns 64-bit numbers, which proto3 JSON prints as strings, into numbers where JSON readers keep them exact."""
    for field in descriptor.fields:
        if field.json_name in shown:
            shown[field.json_name] = _widened(field, shown[field.json_name])


def _widened(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_widened(field, part) for part in value]
    if field.cpp_type in _WIDE:
        return int(value) if abs(int(value)) < _EXACT else value
    if field.message_type is not None and is_map(field):
        inner = field.message_type.fields_by_name["value"]
        return {key: _widened(inner, part) for key, part in value.items()}
    if (own := own_message(field)) is not None:
        _widen(own, value)
    return value


def encode(values: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
