"""unbound's files: zones first, then the settings that say who meets which."""

import msgspec
from tests.contract import names

from skerry.drivers.names.zones import REST, SHUT, list_answered, read_resolvers, tag, write_settings, write_zones
from skerry.plan.actions import ApplyNames, Asker, Named
from skerry.plan.names import names_digest

PATHS = {"folder": "/run/n", "pid": "/run/n/own/0.pid", "control": "/run/n/own/0.sock"}


def order(*zones: names.Zone, askers: tuple[Asker, ...] = ()) -> ApplyNames:
    return ApplyNames(zones=zones, askers=askers, questions=(), digest=names_digest(zones, askers, ()))


def test_a_zone_says_what_is_there_what_is_known_and_what_there_is_not():
    zone = names.zone(unsaid=("ledger",))
    lines = write_zones(order(zone))[tag(zone)].splitlines()
    assert "web A 10.176.1.5" in lines
    assert "db CNAME *." in lines
    assert "_80._tcp.web SRV 0 10 80 web.shop." in lines
    assert "_5432._tcp.db CNAME *." in lines
    assert "5.1.176.10.in-addr.arpa PTR web.shop." in lines
    assert "web.own.skerry A 10.176.1.5" in lines
    assert "ledger CNAME rpz-drop." in lines


def test_a_name_that_looks_like_a_port_is_that_name():
    zone = names.zone(names=(Named("_80._tcp.web", ("10.176.1.9",)),))
    lines = write_zones(order(zone))[tag(zone)].splitlines()
    assert [line for line in lines if line.startswith("_80._tcp.web ")] == ["_80._tcp.web A 10.176.1.9"]


def test_another_content_has_another_serial_and_the_same_one_the_same():
    first, again = (write_zones(order(names.zone())) for _ in range(2))
    other = write_zones(order(names.zone(names=())))
    assert first == again
    assert first[tag(names.zone())].splitlines()[2] != other[tag(names.zone())].splitlines()[2]


def test_no_name_of_a_tenant_is_in_the_settings_or_a_file_s_name():
    zone = names.zone(names=(Named("treasure", ()),))
    text = write_settings(order(zone), (), PATHS)
    for word in ("treasure", "alpha", "front"):
        assert word not in text
        assert not any(word in name for name in write_zones(order(zone)))


def test_only_networks_without_a_way_out_meet_the_zone_that_ends_all_questions():
    shut, free = names.zone(shut=True), names.zone(2)
    text = write_settings(order(shut, free), ("192.0.2.53",), PATHS)
    assert f'interface-tag: 10.176.1.1 "{tag(shut)} {SHUT}"' in text
    assert f'interface-tag: 10.176.3.1 "{tag(free)}"' in text
    assert "forward-addr: 192.0.2.53" in text
    assert f'name: {REST}.names\n  zonefile: "/run/n/{REST}.zone"\n' in text


def test_one_of_two_networks_may_ask_outside_where_one_of_them_may():
    shut, free = names.zone(shut=True), names.zone(1)
    both = Asker("10.176.1.9", shut.tenant, shut.app, (free.network, shut.network))
    text = write_settings(order(shut, free, askers=(both,)), (), PATHS)
    assert f'access-control-tag: 10.176.1.9/32 "{tag(free)} {tag(shut)}"' in text
    text = write_settings(order(shut, msgspec.structs.replace(free, shut=True), askers=(both,)), (), PATHS)
    assert f'access-control-tag: 10.176.1.9/32 "{tag(free)} {tag(shut)} {SHUT}"' in text


def test_what_is_answered_are_this_site_s_own():
    assert list_answered([names.zone(names=(Named("far", ("10.64.0.9",)),))]) == {"10.176.1.5", "10.176.1.6"}


def test_resolvers_are_read_as_the_node_s_own_libraries_read_them():
    servers = ("192.0.2.1", "fe80::1%eth0", "::1", "nonsense", "")
    text = "# x\nsearch lan\n" + "".join(f"nameserver {each}\n" for each in servers)
    assert read_resolvers(text) == ("192.0.2.1", "::1")
