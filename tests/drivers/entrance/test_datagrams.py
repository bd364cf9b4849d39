"""The table that shares out datagrams."""

from collections import Counter

import msgspec
import pytest
from tests.contract.entrance import server

from skerry.drivers.entrance.datagrams import SHARES, build_table, deal_shares, list_asked, list_left, mark_of
from skerry.plan.actions import Datagrams, Server

FAR = Server(name="r1", address="10.64.0.66", port=53, rank=1, source="10.64.0.1")
FAR_V6 = Server(name="r2", address="fd00:0:0:1::2", port=53, rank=1, source="fd00::1")


def port(*servers: Server, number: int = 53) -> Datagrams:
    return Datagrams(port=number, holder="t/dns/web", servers=servers)


def asked(datagrams: Datagrams, version: int = 4) -> list[str]:
    return [each.address for each in list_asked(datagrams, version)]


def test_every_share_leads_to_a_copy_that_is_asked():
    one = port(server(1), server(2, "drain"), server(3))
    assert asked(one) == ["10.176.0.11", "10.176.0.13"]
    assert asked(one, 6) == []
    text = build_table((one,))
    (rule,) = [line for line in text.splitlines() if "dnat ip to" in line]
    assert f"udp dport 53 dnat ip to jhash ip saddr mod {SHARES} seed 21323 map {{ 0 : " in rule
    assert rule.count(" . 8080") == SHARES
    assert Counter(rule.split()).keys() >= {"10.176.0.11", "10.176.0.13"}
    assert "10.176.0.12" not in text
    assert mark_of((one,)) in text


@pytest.mark.parametrize("copies", [1, 2, 3, 8, 61, 253])
def test_shares_are_even_and_one_that_leaves_takes_hardly_any_other_along(copies: int):
    everybody = [server(number) for number in range(copies)]
    dealt = deal_shares(everybody)
    held = Counter(each.name for each in dealt)
    assert len(dealt) == SHARES
    assert len(held) == copies
    assert max(held.values()) - min(held.values()) <= 1
    rest = deal_shares([each for each in everybody if each.name != "c1"])
    moved = sum(before.name not in ("c1", after.name) for before, after in zip(dealt, rest, strict=False))
    # By "hash modulo copies" it would be nearly all of them: 1 - 1/copies.
    assert moved <= SHARES * (0.05 if copies <= 8 else 0.3)


def test_nobody_has_shares_where_nobody_is():
    assert deal_shares([]) == []


def test_others_are_asked_only_where_none_of_the_first_is_there():
    assert asked(port(server(1), server(2, rank=1))) == ["10.176.0.11"]
    assert asked(port(server(1, "drain"), server(2, rank=1))) == ["10.176.0.12"]


def test_others_are_spoken_to_from_the_node_s_own_address_and_the_first_are_not():
    text = build_table((port(FAR, FAR_V6), port(FAR, number=54), port(server(1), FAR, number=55)))
    assert [line.strip() for line in text.splitlines() if "snat" in line] == [
        'oifname "skw*" ct status dnat ip daddr . udp dport { 10.64.0.66 . 53 } snat ip to 10.64.0.1',
        'oifname "skw*" ct status dnat ip6 daddr . udp dport { fd00:0:0:1::2 . 53 } snat ip6 to fd00::1',
    ]
    assert "snat" not in build_table((port(server(1), FAR),))


def test_without_a_copy_who_sends_is_told_and_without_a_port_there_is_no_table():
    text = build_table((port(server(1, "drain")),))
    assert "dnat ip" not in text
    for proto in ("ipv4", "ipv6"):
        assert f"meta nfproto {proto} fib daddr type local udp dport 53 reject with icmpx port-unreachable" in text
    assert build_table(()).splitlines()[-1] == "delete table inet skerry_entrance"


def test_an_address_that_is_none_gets_into_no_table():
    for word in ("10.0.0.1 } ; flush ruleset", "x"):
        with pytest.raises(ValueError, match="does not appear to be"):
            build_table((port(msgspec.structs.replace(FAR, address=word)),))
        with pytest.raises(ValueError, match="does not appear to be"):
            build_table((port(msgspec.structs.replace(FAR, source=word)),))


def test_flows_to_a_copy_that_left_are_forgotten():
    before, after = (port(server(1), server(2)),), (port(server(1, "drain"), server(2)),)
    assert list_left(before, after) == [(53, "10.176.0.11")]
    assert list_left(after, before) == []
    assert list_left(before, ()) == [(53, "10.176.0.11"), (53, "10.176.0.12")]
    # Those of another site are left as soon as one of this site is there again.
    assert list_left((port(FAR),), (port(server(1), FAR),)) == [(53, "10.64.0.66")]
