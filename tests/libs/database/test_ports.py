"""Two processes that start beside each other never choose the same port."""

import subprocess
import sys
from pathlib import Path

from libs.database.ports import free_port, is_port_free, reserve_port

ROOT = Path(__file__).resolve().parents[3]


def reserved_elsewhere(port: int) -> bool:
    """Whether another process can reserve the port."""
    code = f"from libs.database.ports import reserve_port; raise SystemExit(0 if reserve_port({port}) else 1)"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_chosen_port_is_free_and_nobody_else_s_while_this_process_lives():
    port = free_port()
    assert is_port_free(port)
    assert reserve_port(port)
    assert not reserved_elsewhere(port)


def test_a_process_that_ended_gives_its_ports_back():
    code = "from libs.database.ports import free_port; print(free_port())"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert reserved_elsewhere(int(ended.stdout))
    assert reserve_port(int(ended.stdout))


def test_no_port_is_chosen_twice():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
