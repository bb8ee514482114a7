"""What probes are told."""

from grpc_health.v1 import health_pb2

from services.edge.upstream import SERVICES

# A channel knows a moment later that nobody serves at its other end; asked before, the service itself says so.
DOWN = {"NOT_SERVING", "UNAVAILABLE"}


async def test_health_names_each_service(edge):
    answer = await edge.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "SERVING", "services": dict.fromkeys(SERVICES, "SERVING")}


async def test_a_service_that_is_down_is_told_and_does_not_fail_the_edge(edge):
    await edge.platform.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    answer = await edge.client.get("/healthz")
    assert answer.status_code == 200
    assert set(answer.json()["services"].values()) <= DOWN


async def test_answers_are_kept_for_a_second(edge):
    await edge.client.get("/healthz")
    await edge.platform.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert set((await edge.client.get("/healthz")).json()["services"].values()) == {"SERVING"}
    edge.edge.health._asked_at -= 1
    assert set((await edge.client.get("/healthz")).json()["services"].values()) <= DOWN


async def test_a_draining_edge_is_healthy_and_not_ready(edge):
    assert (await edge.client.get("/readyz")).status_code == 200
    edge.edge.health.is_serving = False
    assert (await edge.client.get("/readyz")).status_code == 503
    assert (await edge.client.get("/healthz")).status_code == 200


async def test_a_draining_edge_answers_and_asks_its_callers_to_come_back_by_another_connection(edge):
    assert "connection" not in (await edge.client.get("/fhir/R4/metadata")).headers
    edge.edge.health.is_serving = False
    answer = await edge.client.get("/fhir/R4/metadata")
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
