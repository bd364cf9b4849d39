"""Which further sites there are to be, and with what."""

import ipaddress
import uuid
from pathlib import Path

import pytest

from skerry.berths import plan
from skerry.model.limits import LOCAL_SITES_MAX

STATE, RUN = Path("/var/lib/skerry"), Path("/run/skerry")


@pytest.mark.parametrize(
    ("sites", "kept", "choice"),
    [
        (None, [], plan.Choice()),
        (None, [3, 2], plan.Choice(leave=(2, 3))),
        (0, [2], plan.Choice(stop=(2,))),
        (1, [], plan.Choice()),
        (3, [], plan.Choice(run=(2, 3))),
        (3, [2, 3], plan.Choice(run=(2, 3))),
        (2, [4, 3, 2], plan.Choice(run=(2,), stop=(3, 4))),
    ],
)
def test_sites_up_to_the_wish_run_those_above_stop_and_without_a_wish_nothing_changes(sites, kept, choice):
    assert plan.choose_berths(sites, kept) == choice


def test_a_number_always_gives_the_same_place_and_no_two_share_anything():
    berths = [plan.plan_berth(number, STATE, RUN) for number in range(2, LOCAL_SITES_MAX + 1)]
    assert berths == [plan.plan_berth(number, STATE, RUN) for number in range(2, LOCAL_SITES_MAX + 1)]
    pairs = [pair for berth in berths for pair in (berth.visitors, berth.link)]
    addresses = [address for pair in pairs for address in (pair.address, pair.their_address)]
    assert len(set(addresses)) == len(addresses) == 4 * len(berths)
    assert len({pair.device for pair in pairs}) == len(pairs)
    assert len({berth.disk for berth in berths}) == len({berth.site for berth in berths}) == len(berths)


def test_both_ends_of_a_pair_are_hosts_of_one_small_network_that_no_other_pair_is_in():
    berth = plan.plan_berth(LOCAL_SITES_MAX, STATE, RUN)
    networks = set()
    for pair in (berth.visitors, berth.link):
        network = ipaddress.ip_interface(f"{pair.address}/30").network
        assert {ipaddress.ip_address(each) for each in (pair.address, pair.their_address)} == set(network.hosts())
        # The kernel's limit of a device's name.
        assert len(pair.device) < 16
        networks.add(str(network))
    assert set(plan.list_refused(berth).split(",")) == networks
    assert len(networks) == 2


def test_a_berth_is_where_it_is_said_to_be():
    berth = plan.plan_berth(2, STATE, RUN)
    assert berth.site == "local-2"
    assert berth.disk == STATE / "berths/local-2"
    assert (berth.folder, berth.booted) == (RUN / "berths", RUN / "berths/local-2.booted")
    assert (berth.visitors.device, berth.visitors.their_address) == ("skerry-2", "10.98.2.2")


def test_the_number_of_a_kept_site_is_read_from_its_name_and_from_no_other():
    assert [plan.read_number(f"local-{number}") for number in (2, 16)] == [2, 16]
    assert [plan.read_number(name) for name in ("local", "local-", "local-02", "local-x", "oslo-2", "")] == [None] * 6


def test_the_core_is_found_on_the_berths_loopback_whatever_it_is_called():
    hosts = ("127.0.0.1", "core.example", "192.0.2.7", "2001:db8::7", "core.example", "localhost")
    assert [plan.place_listener(host) for host in hosts[:4]] == ["127.0.0.1", "127.0.0.1", "192.0.2.7", "2001:db8::7"]
    assert plan.list_own_addresses(hosts) == ("192.0.2.7/32", "2001:db8::7/128")
    assert plan.write_hosts("local-2", hosts) == (
        "127.0.0.1 localhost local-2\n::1 localhost\n127.0.0.1 core.example\n"
    )


def test_the_id_of_a_boot_looks_like_the_kernels():
    drawn = bytes(range(16))
    assert plan.make_boot_id(drawn) == str(uuid.UUID(bytes=drawn))


def test_what_this_machine_lacks_is_named():
    assert plan.find_lacking(lambda name: f"/usr/bin/{name}") == ()
    assert plan.find_lacking(lambda name: None if name == "nft" else name) == ("nft",)
