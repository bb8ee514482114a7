"""NHIP_PEERS as the chart writes it works with our channels: names are looked up, and every replica is found."""

import asyncio
import socket
import struct
import sys
from collections import Counter

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nhip.identity.v1 import service_pb2

from libs.database.ports import free_port
from libs.runtime.channels import open_channel

IDENTITY = service_pb2.DESCRIPTOR.services_by_name["IdentityService"]
# macOS has one address of loopback unless told otherwise; there the look-up alone is tried.
REPLICAS = ("127.0.0.2", "127.0.0.3", "127.0.0.4") if sys.platform == "linux" else ("127.0.0.1",)
A, IN = 1, 1


class HeadlessDns(asyncio.DatagramProtocol):
    """Answers every question for IPv4 addresses as the cluster's DNS answers for a headless Service: with all of them."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        end = data.index(b"\0", 12)
        question = data[12 : end + 5]
        is_ipv4 = struct.unpack(">H", data[end + 1 : end + 3])[0] == A
        answers = [
            b"\xc0\x0c" + struct.pack(">HHIH", A, IN, 5, 4) + socket.inet_aton(replica)
            for replica in (REPLICAS if is_ipv4 else ())
        ]
        header = data[:2] + struct.pack(">HHHHH", 0x8580, 1, len(answers), 0, 0)
        self.transport.sendto(header + question + b"".join(answers), address)


class Named(health_pb2_grpc.HealthServicer):
    def __init__(self, name, asked):
        self.name, self.asked = name, asked

    async def Check(self, request, context):
        self.asked[self.name] += 1
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
async def replicas():
    """Three servers at one port of three addresses, who count what they are asked."""
    asked: Counter[str] = Counter()
    servers, port = [], free_port()
    for address in REPLICAS:
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(Named(address, asked), server)
        server.add_insecure_port(f"{address}:{port}")
        await server.start()
        servers.append(server)
    yield port, asked
    for server in servers:
        await server.stop(None)


async def test_calls_go_to_every_replica_of_a_headless_service(replicas):
    port, asked = replicas
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(HeadlessDns, local_addr=("127.0.0.1", 0))
    dns = transport.get_extra_info("sockname")[1]
    channel = open_channel(f"dns://127.0.0.1:{dns}/nhip-identity.health.svc.cluster.local:{port}", IDENTITY)
    try:
        stub = health_pb2_grpc.HealthStub(channel)
        # Round robin begins with those that are connected, so that the last may come a little later.
        while len(asked) < len(REPLICAS):
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True)
            assert asked.total() < 1000
        before = asked.copy()
        for _ in range(30):
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert {name: asked[name] - before[name] for name in REPLICAS} == dict.fromkeys(REPLICAS, 10)
    finally:
        await channel.close()
        transport.close()


async def test_a_name_without_an_authority_is_looked_up_by_the_system():
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Named("here", Counter()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"dns:///localhost:{port}", IDENTITY)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        await channel.close()
        await server.stop(None)
