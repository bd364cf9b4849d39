"""Programs of further sites and what is refused; that they really run is in tests/e2e/test_up_sites.py."""

import sys

import pytest

from skerry.berths import plan
from skerry.cli import berths
from skerry.cli.berths import Further, Reach
from skerry.link.ports import Endpoint, parse_endpoint
from skerry.model.errors import Refused
from skerry.model.limits import LOCAL_SITES_MAX
from skerry.settings import Places


@pytest.fixture
def places(tmp_path):
    return Places(config=tmp_path / "config", state=tmp_path / "state", run=tmp_path / "run")


@pytest.fixture
def further(places):
    return berths.open_berth(places, 2)


def read_flags(command):
    words = command[command.index("skerry") + 2 :]
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def test_the_ferry_listens_where_the_root_document_sends_the_site_and_runs_outside_of_the_berth(further, places):
    endpoints = tuple(parse_endpoint(text) for text in ("127.0.0.1:7711", "core.example:443", "core.example:443"))
    command = further.ferry(Reach(endpoints, Endpoint("127.0.0.1", 7799))).command
    assert command[:2] == [sys.executable, "-P"]
    flags = read_flags(command)
    assert flags == {
        "net": str(places.run / "berths/local-2.net"),
        "listen": "127.0.0.1:7711,127.0.0.1:443",
        "device": "skerry-2-link",
        "outer": "10.98.2.5",
        "inner": "10.98.2.6",
        "core": "127.0.0.1:7799",
        "pid-file": str(places.state / "berths/local-2/ferry.pid"),
    }


def test_agent_and_podman_run_inside_with_a_disk_and_an_environment_of_their_own(further, places):
    disk = places.state / "berths/local-2"
    agent, podman = further.agent(), further.podman()
    for program in (agent, podman):
        assert program.command[0] == "nsenter"
        assert program.command[1] == f"--net={places.run}/berths/local-2.net"
        assert program.command[2] == f"--mount={places.run}/berths/local-2.mnt"
        assert program.env is not None
        assert program.env["CONTAINERS_CONF"] == str(disk / "containers.conf")
    flags = read_flags(agent.command)
    assert (flags["state"], flags["podman-socket"]) == (str(disk / "agent"), str(disk / "podman.sock"))
    # Apps of a berth have no business on the machine around it.
    assert flags["refused-ranges"] == plan.list_refused(further.plan)


def test_nothing_of_a_site_that_was_never_made_runs(further, places):
    assert further.stop() == []
    assert berths.list_kept(places) == []
    assert not (places.state / "berths").exists()


def test_sites_are_known_by_their_disks(places):
    for name in ("local-3", "local-2", "lost+found", "local-x"):
        (places.state / "berths" / name).mkdir(parents=True)
    assert berths.list_kept(places) == [2, 3]
    assert berths.choose(places, 2) == plan.Choice(run=(2,), stop=(3,))


@pytest.mark.parametrize("sites", [None, 0, 1])
def test_up_to_one_site_nothing_is_asked_of_the_machine(sites):
    berths.check_machine(sites, is_root=False, has_podman=False)


@pytest.mark.parametrize(
    ("sites", "is_root", "has_podman", "code", "hint"),
    [
        (LOCAL_SITES_MAX + 1, True, True, "E-USAGE", f"--sites {LOCAL_SITES_MAX}"),
        (2, False, True, "E-BERTH", "--sites 0"),
        (2, True, False, "E-PODMAN", "podman.socket"),
    ],
)
def test_more_sites_are_refused_with_what_to_do(sites, is_root, has_podman, code, hint):
    with pytest.raises(Refused) as refused:
        berths.check_machine(sites, is_root=is_root, has_podman=has_podman, find=str)
    assert refused.value.code == code
    assert hint in refused.value.hint


def test_lacking_programs_are_named_with_their_packages():
    with pytest.raises(Refused, match="nft, unshare") as refused:
        berths.check_machine(
            2, is_root=True, has_podman=True, find=lambda name: None if name in ("nft", "unshare") else name
        )
    assert refused.value.hint == "apt-get install nftables util-linux"


def test_no_agent_is_asked_where_none_runs(further: Further):
    assert str(further.agent_socket) == "/proc/0/root/run/skerry/agent.sock"
