"""Whether a service is healthy, asked as anybody would: grpc.health.v1, or GET /healthz of the edge."""

import http.client
import socket

from tools.nhip.services import Door

_CONNECT_SECONDS = 0.5
_ANSWER_SECONDS = 3.0


def is_healthy(door: Door, address: str) -> bool:
    """Asks once; False for every failure."""
    host, _, port = address.rpartition(":")
    # gRPC waits a second before it tries a refused port again; a plain socket tells at once.
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return _grpc(address) if door is Door.GRPC else _http(host, int(port))


def _grpc(address: str) -> bool:
    # Imported when first needed, so that the services are already starting while it loads.
    import grpc  # noqa: PLC0415
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _http(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
