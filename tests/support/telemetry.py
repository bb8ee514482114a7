"""All that a running platform tells of itself: metrics, spans, log lines; and a look for what should not be there."""

import json
import re
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from tools.nhip.platform import Platform
from tools.observability.contract.metrics import METRICS, STANDARD, Kind, Metric
from tools.observability.contract.spans import LOG_FIELDS, RESOURCE, SPANS

# A shorter value stands in too many words by chance.
LEAST_LENGTH = 4


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, with the attributes of their process."""

    spans: list[tuple[dict[str, str], object]] = field(default_factory=list)

    def Export(self, request, context):
        for resource in request.resource_spans:
            process = attributes_of(resource.resource)
            self.spans.extend((process, span) for scope in resource.scope_spans for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


def attributes_of(thing) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in thing.attributes}


@contextmanager
def collecting(monkeypatch) -> Iterator[Collector]:
    """A collector, to which every process sends all its spans that starts meanwhile."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    try:
        yield collector
    finally:
        server.stop(grace=None).wait()


def scraped(running: Platform) -> dict[str, str]:
    """Each service's /metrics."""
    texts = {}
    for name, service in running.state.services.items():
        with urllib.request.urlopen(f"http://{service.metrics_address}/metrics", timeout=5) as answer:
            texts[name] = answer.read().decode()
    return texts


def logged(running: Platform) -> dict[str, str]:
    """Each service's log."""
    return {name: running.home.log(name).read_text("utf-8", "replace") for name in running.state.services}


def metric_problems(service: str, text: str) -> list[str]:
    """Where what a service emits and the contract differ."""
    found: list[str] = []
    families = {name_of(family): family for family in text_string_to_metric_families(text) if family.type != "unknown"}
    due = {one.name: one for one in (*METRICS, *STANDARD) if service in one.services}
    found += [f"{service} does not emit {name}" for name in due.keys() - families.keys()]
    # A module that is imported announces its metrics; without a sample nothing is emitted.
    emitted = {name for name, family in families.items() if family.samples}
    found += [f"{service} emits {name}, which the contract does not give it" for name in emitted - due.keys()]
    for name in families.keys() & due.keys():
        found += _sample_problems(service, due[name], families[name])
    return found


def name_of(family: Family) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _sample_problems(service: str, due: Metric, family: Family) -> Iterator[str]:
    kinds = {Kind.INFO: "gauge"}
    if family.type != kinds.get(due.kind, due.kind.value):
        yield f"{due.name} of {service} is a {family.type}"
    allowed = {label.name: label for label in due.labels}
    combinations = set()
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        combinations.add(tuple(sorted(labels.items())))
        if set(labels) != set(allowed):
            yield f"{sample.name} of {service} has the labels {sorted(labels)}"
            continue
        for name, value in labels.items():
            if not allowed[name].allows(value):
                yield f"{sample.name} of {service} has {name}={value!r}"
    if len(combinations) > due.bound:
        yield f"{due.name} of {service} came to {len(combinations)} combinations of labels"


def span_problems(spans: Iterable[tuple[dict[str, str], object]]) -> list[str]:
    """Where the spans that came and the contract differ."""
    found = []
    http, rpc = SPANS
    for process, span in spans:
        if set(RESOURCE) - set(process):
            found.append(f"a span of {process} does not say whose it is")
        attributes = attributes_of(span)
        kind = http if process.get("service.name") == "edge" else rpc
        if set(attributes) != set(kind.attributes):
            found.append(f"a span {span.name} has the attributes {sorted(attributes)}")
        elif span.name != re.sub(r"\{([\w.]+)\}", lambda match: attributes[match[1]], kind.name):  # noqa: B023
            found.append(f"a span is called {span.name}")
        if span.events:
            found.append(f"the span {span.name} carries events")
    return found


def log_problems(service: str, text: str) -> list[str]:
    """Where a service's lines and the contract differ."""
    found = []
    fields = {one.name: one for one in LOG_FIELDS}
    for line in text.splitlines():
        if line.startswith(f"{service} stands at "):
            # What `migrate` says to whoever called it.
            continue
        try:
            said = json.loads(line)
        except ValueError:
            found.append(f"{service} wrote a line that is no JSON: {line[:100]}")
            continue
        is_access = said.get("logger") == "nhip.access"
        wanted = {one.name for one in LOG_FIELDS if one.is_always_there and (is_access or not one.is_of_access_log)}
        found += [f"{service}: a line has no {name}" for name in wanted - said.keys()]
        found += [f"{service}: a line has {name}" for name in said.keys() - fields.keys()]
        found += [
            f"{service}: {name} is {type(value).__name__}"
            for name, value in said.items()
            if name in fields and not isinstance(value, fields[name].kinds)
        ]
    return found


def personal_values(population) -> set[str]:
    """What is known of the population's people and practitioners, and must stand nowhere."""
    found: set[str] = set()
    for household in population._people().households(population.people):
        found.add(household.house_no)
        for one in household.members:
            found |= {one.citizen_id, one.passport, one.phone, one.given_th, one.family_th, one.given_en, one.family_en}
            found |= {one.born.isoformat(), f"{one.born:%Y%m%d}", f"{one.given_th} {one.family_th}"}
    for facility in population.facilities:
        for one in facility.practitioners:
            found |= {one.licence, one.given_th, one.family_th, one.given_en, one.family_en}
    found.add(population.index_citizen.hn)
    return {value for value in found if len(value) >= LEAST_LENGTH}


def leaks(values: set[str], texts: Iterable[str]) -> list[str]:
    """The personal values that stand in the texts as words of their own."""
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(values, key=len, reverse=True)))})(?![\w-])")
    return sorted({match[0] for text in texts for match in pattern.finditer(text)})


def told_by(spans: Iterable[tuple[dict[str, str], object]]) -> str:
    """Everything that spans say, as text."""
    return "\n".join(f"{process} {span}" for process, span in spans)
