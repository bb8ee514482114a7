"""Logs, traces and metrics of a process. Nothing personal passes here: callers log reasons and counts, never values."""

import asyncio
import logging
import os
import sys
import time
from datetime import UTC, datetime

import orjson
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from prometheus_client import Gauge, disable_created_metrics, start_http_server

LOOP_LAG = Gauge("nhip_event_loop_lag_seconds", "How late the event loop came to a timer in the last second.")
READY = Gauge("nhip_ready", "1 while the process is ready to serve.")
DEFAULT_SAMPLING = 0.05


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the trace that it belongs to."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
        if record.exc_info:
            line["exception"] = _where(record.exc_info)
        return orjson.dumps(line).decode()


def _where(exc_info: object) -> list[str]:
    """The chain of an exception: types and places. Messages are left out, since they may quote a row or a value."""
    places: list[str] = []
    error = exc_info[1] if isinstance(exc_info, tuple) else None
    while error is not None:
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            code = traceback.tb_frame.f_code
            frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
            traceback = traceback.tb_next
        places.append(f"{type(error).__module__}.{type(error).__qualname__} at {' > '.join(frames[-12:])}")
        error = error.__cause__ or error.__context__
    return places


def start_logging(service: str, level: str) -> None:
    """Sends every log record to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # asyncpg and grpc explain themselves at length below this level.
    logging.getLogger("grpc").setLevel(logging.WARNING)


def start_tracing(service: str, instance: str) -> TracerProvider:
    """Spans go out by OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set; without it only the trace ids live on, in logs."""
    resource = Resource.create({"service.namespace": "nhip", "service.name": service, "service.instance.id": instance})
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") or os.environ.get(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""
    )
    ratio = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "") or DEFAULT_SAMPLING)
    sampler = ParentBased(TraceIdRatioBased(ratio)) if endpoint else ALWAYS_OFF
    provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    if endpoint:
        # Imported here: the exporter costs memory that a process without a collector does not need.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def start_metrics(listen: str) -> str:
    """Serves /metrics; answers the address that was bound."""
    # A time series for each counter that only says when the process began to count.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it so
    host, _, port = listen.rpartition(":")
    server, _ = start_http_server(int(port), host)
    return f"{host}:{server.server_port}"


async def watch_loop() -> None:
    """Measures how late the event loop is, until cancelled."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(1)
        LOOP_LAG.set(max(0.0, time.perf_counter() - before - 1))
