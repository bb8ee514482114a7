"""Ports of 127.0.0.1 for programs that start beside each other.

Between choosing a free port and listening on it lie seconds, in which another platform on the same machine may choose it too.
So a chosen port is reserved: by a lock on a file of its number, which ends with the process that holds it.
"""

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

_HOST = "127.0.0.1"
# Below the ports that kernels hand to outgoing connections (Linux from 32768, macOS from 49152), so that none of those can
# sit on ours while a server is down.
_PORTS = range(20_000, 32_000)

# Port → the descriptor that holds its lock; closed by the end of the process alone.
_held: dict[int, int] = {}


def free_port() -> int:
    """A port on which nobody listens now, reserved for this process as long as it lives."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in _held and reserve_port(port) and is_port_free(port):
            return port


def reserve_port(port: int) -> bool:
    """Reserves a port for this process; False when another process holds it. What is held already stays so."""
    if port in _held:
        return True
    folder = Path(tempfile.gettempdir(), f"nhip-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _held[port] = lock
    return True


def is_port_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_HOST, port))
        except OSError:
            return False
    return True
