"""What a berth asks of podman; what it does with a kernel is in tests/e2e/."""

import socket
import threading
import tomllib

import pytest

from skerry.berths.berth import Berth


@pytest.fixture
def berth(tmp_path):
    berth = Berth(tmp_path / "run", "one", tmp_path / "disk", "192.0.2.1")
    berth.install()
    return berth


def test_a_disk_is_laid_out_again_without_losing_what_is_on_it(berth):
    (berth.agent_folder / "journal.db").write_text("kept")
    berth.install()
    assert (berth.agent_folder / "journal.db").read_text() == "kept"
    assert "nameserver 192.0.2.1\n" in (berth.disk / "resolv.conf").read_text()


def test_everything_that_podman_keeps_is_the_berths_own(berth):
    settings = tomllib.loads(berth.containers_conf.read_text())
    kept = [settings["engine"][name] for name in ("static_dir", "volume_path", "events_logfile_path")]
    kept.append(settings["network"]["network_config_dir"])
    assert all(path.startswith(f"{berth.disk}/") for path in kept)
    command = berth.podman_service()
    assert command[command.index("--root") + 1] == str(berth.disk / "podman/root")
    # Podman's own limit.
    assert len(command[command.index("--runroot") + 1]) <= 50
    assert berth.env["CONTAINERS_CONF"] == str(berth.containers_conf)


def test_a_berth_that_was_never_made_is_not_there_and_nothing_of_it_runs(berth):
    assert not berth.exists
    assert berth.pids() == []
    berth.destroy()
    assert berth.container_ids() == set()


def test_podman_answers_when_it_says_so(berth, tmp_path):
    assert not berth.podman_answers()
    # A socket's path has 107 bytes at most.
    with socket.socket(socket.AF_UNIX) as server:
        berth.podman_socket.parent.mkdir(exist_ok=True)
        server.bind(str(berth.podman_socket))
        server.listen()
        for said, expected in ((b"HTTP/1.0 200 OK\r\n\r\nOK", True), (b"HTTP/1.0 500 No\r\n\r\n", False)):
            answer = threading.Thread(target=answer_once, args=(server, said))
            answer.start()
            assert berth.podman_answers() is expected
            answer.join()


def answer_once(server, said):
    connection, _ = server.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(said)
