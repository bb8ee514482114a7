"""Spans reach a collector when an endpoint is set, and none is needed when it is not."""

import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from opentelemetry import trace
from libs.runtime.telemetry import start_tracing
provider = start_tracing("records", "records-0")
with trace.get_tracer("test").start_as_current_span("nhip.records.v1.RecordsService/ReadResource") as span:
    print(f"{span.get_span_context().trace_id:032x}")
provider.shutdown()
"""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.requests = []

    def Export(self, request, context):
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


def run(**environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, cwd=ROOT, env={**plain, **environment}, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_spans_are_sent_by_otlp_with_the_service_they_come_from():
    collector = Collector()
    with futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        trace_id = run(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_INSECURE="true",
            OTEL_TRACES_SAMPLER_ARG="1.0",
        )
        server.stop(0)
    (resource_spans,) = collector.requests[0].resource_spans
    attributes = {one.key: one.value.string_value for one in resource_spans.resource.attributes}
    span = resource_spans.scope_spans[0].spans[0]
    assert (attributes["service.name"], attributes["service.instance.id"]) == ("records", "records-0")
    assert (span.name, span.trace_id.hex()) == ("nhip.records.v1.RecordsService/ReadResource", trace_id)


def test_without_a_collector_a_trace_still_has_its_id_for_the_logs():
    assert int(run(), 16) != 0
