"""The REST routes that the protos declare (google.api.http), and the way from a path to one of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from libs.runtime.policy import Method, methods_of
from services.edge.asgi import decoded


class RouteError(Exception):
    """A proto declares a route that the edge cannot serve; the message names it. Stops the start."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to call one RPC."""

    method: Method
    descriptor: MethodDescriptor
    # GET, POST, PUT, PATCH or DELETE.
    verb: str
    # As declared: `/v1/registrations/{registration_id}:link`.
    template: str
    # `*` for the whole request, a field's name, or empty for no body.
    body: str
    # Each segment as (text, is_variable), and the custom verb after the last one.
    segments: tuple[tuple[str, bool], ...]
    custom_verb: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The request fields that the path binds, in its order."""
        return tuple(text for text, is_variable in self.segments if is_variable)


def routes_of(services: Iterable[ServiceDescriptor]) -> tuple[Route, ...]:
    """Every route of the services, in the order of their protos. Raises RouteError, PolicyMissingError."""
    return tuple(
        route
        for service in services
        for method, descriptor in zip(methods_of(service), service.methods, strict=True)
        for route in _declared(method, descriptor)
    )


def _declared(method: Method, descriptor: MethodDescriptor) -> Iterator[Route]:
    options = descriptor.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    if method.is_server_streaming:
        raise RouteError(f"{method.label} streams its answer, which no REST route can")
    for binding in (rule, *rule.additional_bindings):
        yield _route(method, descriptor, binding)


def _route(method: Method, descriptor: MethodDescriptor, rule: http_pb2.HttpRule) -> Route:
    verb = rule.WhichOneof("pattern") or ""
    template = getattr(rule, verb, "") if verb != "custom" else ""
    if not template.startswith("/v1/") or rule.response_body:
        raise RouteError(f"{method.label} declares a route that the edge does not know: {template or verb}")
    path, colon, custom_verb = template.partition(":")
    segments = []
    for part in path.split("/")[1:]:
        is_variable = part.startswith("{")
        name = part[1:-1] if is_variable else part
        if is_variable and name not in descriptor.input_type.fields_by_name:
            raise RouteError(f"{method.label}: the path of {template} names no field of the request")
        segments.append((name, is_variable))
    if rule.body not in {"", "*"} and rule.body not in descriptor.input_type.fields_by_name:
        raise RouteError(f"{method.label}: the body of {template} names no field of the request")
    return Route(method, descriptor, verb.upper(), template, rule.body, tuple(segments), custom_verb if colon else "")


@dataclass(slots=True)
class _Node:
    literals: "dict[str, _Node]" = field(default_factory=dict)
    variable: "_Node | None" = None
    # By custom verb, then by HTTP verb.
    routes: dict[str, dict[str, Route]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to: routes by HTTP verb, and the values of the path's variables in their order."""

    by_verb: dict[str, Route]
    values: tuple[str, ...]


class Router:
    """Finds routes. A literal segment is preferred to a variable; a colon that begins no known verb belongs to the id."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raises RouteError when two routes are the same."""
        self._root = _Node()
        for route in routes:
            node = self._root
            for text, is_variable in route.segments:
                if is_variable:
                    node.variable = node.variable or _Node()
                    node = node.variable
                else:
                    node = node.literals.setdefault(text, _Node())
            taken = node.routes.setdefault(route.custom_verb, {})
            if route.verb in taken:
                raise RouteError(f"{route.verb} {route.template} is declared twice")
            taken[route.verb] = route

    def find(self, segments: list[str]) -> Found | None:
        """Where segments lead that are not decoded yet; None where nothing is. Raises InvalidArgumentError."""
        # An encoded colon is part of an id, whatever follows it.
        head, colon, custom_verb = segments[-1].rpartition(":") if segments else ("", "", "")
        if colon and custom_verb:
            found = self._walk(decoded([*segments[:-1], head]), custom_verb)
            if found is not None:
                return found
        return self._walk(decoded(segments), "")

    def _walk(self, segments: list[str], custom_verb: str) -> Found | None:
        ends: list[tuple[_Node, tuple[str, ...]]] = [(self._root, ())]
        for segment in segments:
            ends = [
                step
                for node, values in ends
                for step in (
                    *([(node.literals[segment], values)] if segment in node.literals else ()),
                    *([(node.variable, (*values, segment))] if node.variable is not None and segment else ()),
                )
            ]
        for node, values in ends:
            if by_verb := node.routes.get(custom_verb):
                return Found(by_verb, values)
        return None
