"""The table that shares out datagrams."""

from tests.contract.entrance import server

from skerry.drivers.entrance.datagrams import build_table, list_left, list_slots, mark_of
from skerry.plan.actions import Datagrams, Server


def port(*servers: Server, number: int = 53) -> Datagrams:
    return Datagrams(port=number, holder="t/dns/web", servers=servers)


def test_every_slot_leads_to_a_copy_that_is_asked():
    one = port(server(1), server(2, "drain"), server(3))
    assert list_slots(one, 4) == [("10.176.0.11", 8080), ("10.176.0.13", 8080)]
    assert list_slots(one, 6) == []
    text = build_table((one,))
    assert "udp dport 53 dnat ip to numgen inc mod 2 map { 0 : 10.176.0.11 . 8080, 1 : 10.176.0.13 . 8080 }" in text
    assert mark_of((one,)) in text


def test_others_are_asked_only_where_none_of_the_first_is_there():
    assert list_slots(port(server(1), server(2, rank=1)), 4) == [("10.176.0.11", 8080)]
    assert list_slots(port(server(1, "drain"), server(2, rank=1)), 4) == [("10.176.0.12", 8080)]


def test_without_a_copy_there_is_no_rule_and_without_a_port_no_table():
    assert "dnat" not in build_table((port(server(1, "drain")),))
    assert build_table(()).splitlines()[-1] == "delete table inet skerry_entrance"


def test_flows_to_a_copy_that_left_are_forgotten():
    before, after = (port(server(1), server(2)),), (port(server(1, "drain"), server(2)),)
    assert list_left(before, after) == [(53, "10.176.0.11")]
    assert list_left(after, before) == []
    assert list_left(before, ()) == [(53, "10.176.0.11"), (53, "10.176.0.12")]
