import socket
from pathlib import Path

import pytest

from skerry.sim import guard


@pytest.fixture
def listening():
    guard.begin()
    yield
    guard.end()


def test_writing_a_real_file_ends_the_simulation(tmp_path: Path, listening):
    with pytest.raises(guard.LeftTheSimulation):
        (tmp_path / "file").write_text("x")


def test_reaching_for_the_network_ends_the_simulation(listening):
    with pytest.raises(guard.LeftTheSimulation):
        socket.getaddrinfo("localhost", 1)


def test_afterwards_everything_is_as_before(tmp_path: Path):
    guard.begin()
    guard.end()
    (tmp_path / "file").write_text("x")
