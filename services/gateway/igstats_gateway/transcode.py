"""From an HTTP request to a method and its message, by the google.api.http annotations; and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.messages import (
    descriptor_of,
    encode,
    field_of,
    fill,
    invalid,
    is_map,
    own_message,
    parse_object,
    show,
)
from igstats_gateway.routes import Route
from igstats_gateway.templates import Template, parse

_VERBS = ("get", "post", "patch", "delete", "put")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Binding:
    """One way to call a method over HTTP."""

    verb: str
    template: Template
    body: str  # "", "*" or a field
    response_body: str
    route: Route


@dataclass(frozen=True)
class Match:
    """A request's binding, and the values in its path."""

    binding: Binding
    variables: Mapping[str, str]

    @property
    def route(self) -> Route:
        """The method."""
        return self.binding.route


def bindings(route: Route) -> Iterable[Binding]:
    """All bindings of a method, the additional ones too."""
    for rule in (route.http, *route.http.additional_bindings):
        verb = rule.WhichOneof("pattern") or ""
        if verb not in _VERBS:
            raise ValueError(f"{route.method} has an HTTP rule of a kind that is not supported")
        yield _binding(verb, rule, route)


def _binding(verb: str, rule: HttpRule, route: Route) -> Binding:
    template = parse(getattr(rule, verb))
    for name in template.fields:
        _leaf(descriptor_of(route.request), name.split("."))
    return Binding(verb.upper(), template, rule.body, rule.response_body, route)


class Transcoder:
    """The HTTP face of the public methods."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._bindings = [binding for route in routes for binding in bindings(route)]

    def match(self, verb: str, path: str) -> Match:
        """Finds the method of a request by its verb and undecoded path. HEAD is GET.

        Raises:
            DomainError: METHOD_UNKNOWN; with `allow` in the metadata when only the verb is wrong.
        """
        found = [match for binding in self._bindings if (match := _match(binding, path)) is not None]
        wanted = "GET" if verb == "HEAD" else verb
        for match in found:
            if match.binding.verb == wanted:
                return match
        if found:
            raise DomainError(Reason.METHOD_UNKNOWN, allow=", ".join(_allowed(found)))
        raise DomainError(Reason.METHOD_UNKNOWN)


def _match(binding: Binding, path: str) -> Match | None:
    try:
        variables = binding.template.match(path)
    except UnicodeDecodeError as error:
        raise invalid("", "the path is not UTF-8") from error
    return None if variables is None else Match(binding, variables)


def _allowed(matches: Sequence[Match]) -> list[str]:
    verbs = {match.binding.verb for match in matches}
    return sorted(verbs | {"HEAD"} if "GET" in verbs else verbs)


def request(match: Match, query: str, body: bytes) -> Message:
    """The method's message from path, query and body; each field from one place only.

    Raises:
        DomainError: BODY_INVALID, naming the field.
    """
    message = match.route.request()
    values = _body_values(match.binding, body)
    for name, value in match.variables.items():
        _put(values, descriptor_of(message), name, [value])
    for name, given in _query_values(match.binding, query).items():
        _put(values, descriptor_of(message), name, given)
    fill(message, values)
    return message


def _body_values(binding: Binding, body: bytes) -> dict[str, Any]:
    if not binding.body:
        if body:
            raise invalid("", "this method takes no body")
        return {}
    values = parse_object(body)
    return values if binding.body == "*" else {binding.body: values}


def _query_values(binding: Binding, query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError as error:
        raise invalid("", "the query is not name=value pairs in UTF-8") from error
    for name, value in pairs:
        if binding.body == "*":
            raise invalid(name, "belongs into the body, not into the query")
        found.setdefault(name, []).append(value)
    return found


def _put(values: dict[str, Any], descriptor: Descriptor, path: str, given: list[str]) -> None:
    """Sets the field at a dotted path from text."""
    *outer, last = path.split(".")
    leaf = _leaf(descriptor, [*outer, last])
    for name in outer:
        values = values.setdefault(_name(descriptor, values, name), {})
        descriptor = _step(descriptor, name, path)
        if not isinstance(values, dict):
            raise invalid(path, "is given twice")
    if _name(descriptor, values, last) in values:
        raise invalid(path, "is given twice")
    if leaf.is_repeated:
        values[last] = [_scalar(leaf, path, text) for text in given]
        return
    if len(given) > 1:
        raise invalid(path, "is given twice")
    values[last] = _scalar(leaf, path, given[0])


def _name(descriptor: Descriptor, values: Mapping[str, Any], name: str) -> str:
    """The spelling of the field that is in `values` already, if any."""
    field = field_of(descriptor, name)
    if field is not None and field.json_name in values:
        return str(field.json_name)
    return str(field.name) if field is not None else name


def _step(descriptor: Descriptor, name: str, path: str) -> Descriptor:
    field = field_of(descriptor, name)
    inner = own_message(field) if field is not None and not field.is_repeated else None
    if inner is None:
        raise invalid(path, "is not a field")
    return inner


def _leaf(descriptor: Descriptor, names: Sequence[str]) -> FieldDescriptor:
    path = ".".join(names)
    for name in names[:-1]:
        descriptor = _step(descriptor, name, path)
    field = field_of(descriptor, names[-1])
    if field is None or own_message(field) is not None or is_map(field):
        raise invalid(path, "is not a field that a path or query can set")
    return field


def _scalar(field: FieldDescriptor, path: str, value: str) -> object:
    if field.cpp_type != FieldDescriptor.CPPTYPE_BOOL:
        return value
    if value not in _BOOLEANS:
        raise invalid(path, "must be true or false")
    return _BOOLEANS[value]


def answer(binding: Binding, message: Message) -> bytes:
    """The JSON of a method's answer."""
    shown = show(message)
    if not binding.response_body:
        return encode(shown)
    field = field_of(descriptor_of(message), binding.response_body)
    return encode(shown[field.json_name if field is not None else binding.response_body])
