"""Counts and times every call, by method and final status."""

import time

import grpc
from google.protobuf.message import Message
from nhip.options.v1 import options_pb2
from prometheus_client import Counter, Gauge, Histogram

from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

STARTED = Counter("grpc_server_started_total", "RPCs started.", ["grpc_service", "grpc_method"])
HANDLED = Counter("grpc_server_handled_total", "RPCs completed.", ["grpc_service", "grpc_method", "grpc_code"])
IN_FLIGHT = Gauge("grpc_server_in_flight", "RPCs in progress.", ["grpc_service", "grpc_method"])
SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time from the first byte of the request to the status.",
    ["grpc_service", "grpc_method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SLO_CLASS = Gauge(
    "nhip_rpc_slo_class",
    "1 for each RPC, with the service level that its contract declares.",
    ["grpc_service", "grpc_method", "slo_class"],
)
CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Metrics:
    """The standard gRPC server metrics."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        labels = (method.path[1:].partition("/")[0], method.name)
        started, in_flight, seconds = STARTED.labels(*labels), IN_FLIGHT.labels(*labels), SECONDS.labels(*labels)
        level = (
            options_pb2.SloClass.Name(options_pb2.SloClass.ValueType(method.slo_class))
            .removeprefix("SLO_CLASS_")
            .lower()
        )
        SLO_CLASS.labels(*labels, level).set(1)
        handled_ok = HANDLED.labels(*labels, "OK")

        async def measured(call: Call) -> Message | None:
            started.inc()
            in_flight.inc()
            begin = time.perf_counter()
            try:
                response = await handler(call)
            except BaseException:
                code = call.context.code()
                # grpc.aio keeps the code as a number; a cancelled call has none.
                number = code.value[0] if isinstance(code, grpc.StatusCode) else code
                HANDLED.labels(*labels, CODES.get(number or grpc.StatusCode.CANCELLED.value[0], "UNKNOWN")).inc()
                raise
            else:
                handled_ok.inc()
                return response
            finally:
                in_flight.dec()
                seconds.observe(time.perf_counter() - begin)

        return measured
