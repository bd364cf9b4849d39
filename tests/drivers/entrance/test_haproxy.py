"""HAProxy's files and words: what of a tenant's wish goes into them, and what the running process is told."""

import msgspec
import pytest
from tests.contract.entrance import HOST, certificates, entrance, server

from skerry.drivers.entrance.haproxy import (
    CERTIFICATES,
    CHALLENGED,
    CONFIG,
    PLACES,
    Around,
    Copy,
    certificate_file,
    is_as_wished,
    list_words,
    read_answers,
    read_shape,
    write_files,
)
from skerry.model.ids import Digest
from skerry.model.observed import DoorCounts
from skerry.plan.actions import Backend, Challenge, Listener, Route, Server

AROUND = Around(folder="/run/skerry/entrance", user="haproxy")


def files(action, around=AROUND):
    return {name: content.decode() for name, content in write_files(action, around).items()}


def copy(number: int, state: str = "up") -> Copy:
    wish = server(number)
    return Copy("b1", wish.name, wish.address, wish.port, state, True, 0)


def test_copies_come_and_go_without_another_shape_and_places_do_not():
    one = read_shape(entrance(server(1)), AROUND)
    assert one == read_shape(entrance(server(1, "drain"), server(2)), AROUND)
    assert f"description {one}\n" in files(entrance(server(1)))[CONFIG]
    more = Route(host="a.example", path="/", backend="b1", secure=False, holder="t/a/web")
    assert one != read_shape(entrance(server(1), routes=(more,)), AROUND)
    assert one != read_shape(entrance(server(1)), msgspec.structs.replace(AROUND, ports=frozenset({80})))


def test_a_place_is_a_line_of_its_own_file():
    routes = (
        Route(host=HOST, path="/", backend="b1", secure=False, holder="t/shop/web"),
        Route(host=HOST, path="/a/b", backend="b1", secure=True, holder="t/shop/web"),
    )
    assert files(entrance(routes=routes))[PLACES] == f"{HOST}/ b1.plain\n{HOST}/a/b/ b1.secure\n"


def test_a_certificate_is_named_by_a_digest_and_a_bad_one_is_left_out():
    action = entrance(certificates=certificates((HOST, Digest("sha256:1")), ("a.example", Digest("sha256:2"))))
    around = msgspec.structs.replace(AROUND, hosts=frozenset({"a.example"}))
    assert files(action, around)[CERTIFICATES] == f"/run/skerry/entrance/{certificate_file(HOST)} {HOST}\n"
    assert HOST not in certificate_file(HOST)


@pytest.mark.parametrize("host", ["a.example b2.plain", "a.example\nb.example", "*.example", ""])
def test_no_word_of_a_tenant_makes_a_line(host: str):
    with pytest.raises(ValueError, match="place"):
        write_files(entrance(routes=(Route(host=host, path="/", backend="b1", secure=False, holder="t/a/b"),)), AROUND)


@pytest.mark.parametrize(("page", "checked"), [("/health?a=b", True), ("", False), ("/a'b", False), ("/a#b", False)])
def test_a_page_that_cannot_stand_in_a_line_is_not_asked_for(page: str, checked: bool):
    backends = (Backend(name="b1", mode="http", page=page, servers=()),)
    assert ("option httpchk" in files(entrance(backends=backends))[CONFIG]) == checked


def test_a_taken_port_is_left_out_and_ipv6_only_where_it_is():
    listeners = (Listener(port=25, backend="b1", holder="t/a/b"),)
    assert "bind 0.0.0.0:25\n" in files(entrance(listeners=listeners))[CONFIG]
    around = msgspec.structs.replace(AROUND, ports=frozenset({25}), v6=False)
    config = files(entrance(listeners=listeners), around)[CONFIG]
    assert ":25" not in config
    assert "[::]" not in config


def test_words_bring_what_runs_to_what_is_wished():
    wish = entrance(server(1), server(2, "drain")).backends
    assert list_words(wish, (copy(1), copy(2, "drain"))) == []
    assert list_words(wish, (copy(1), copy(2))) == ["set server b1/c2 state drain"]
    assert list_words(wish, (copy(1, "drain"), copy(2, "drain"))) == [
        "set server b1/c1 weight 1",
        "set server b1/c1 state ready",
    ]
    added = list_words(wish, (copy(1),))
    assert added[0].startswith("add server b1/c2 10.176.0.12:8080 check ")
    assert added[1:] == ["enable health b1/c2", "enable server b1/c2", "set server b1/c2 state drain"]
    moved = msgspec.structs.replace(copy(1), address="10.176.0.99")
    assert list_words(wish, (moved, copy(2, "drain"))) == ["set server b1/c1 addr 10.176.0.11 port 8080"]


def test_what_leaves_is_in_maintenance_first_and_that_is_as_good_as_gone():
    wish = entrance(server(1)).backends
    assert list_words(wish, (copy(1), copy(2))) == [
        "set server b1/c2 state maint",
        "shutdown sessions server b1/c2",
        "del server b1/c2",
    ]
    assert not is_as_wished(wish, (copy(1), copy(2)))
    assert is_as_wished(wish, (copy(1), copy(2, "maint")))


def test_answers_are_read_as_the_process_gives_them():
    answers = (
        b"Name: HAProxy\nPid: 7661\ndescription: skerry-abc\n\n"
        b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"
        b"3 b1 1 c1 10.176.0.11 2 0 1 8080\n3 b1 2 c2 10.176.0.12 0 8 1 8080\n3 b1 3 c3 10.176.0.13 0 1 1 8080\n\n"
        b"# pxname,svname,scur,status,check_status,stot,bin,bout,hrsp_2xx,hrsp_5xx,rtime\n"
        b"b1,c1,4,UP,* L4OK,7,,,,,\nb1,c2,1,DOWN,L4CON,1,,,,,\nb1,BACKEND,5,UP,,8,70,700,6,2,3\n"
        b"b1t,BACKEND,1,UP,,3,9,,,,\n\n"
    )
    found = read_answers(answers)
    assert (found.pid, found.shape) == (7661, "skerry-abc")
    assert [(each.name, each.state, each.well, each.sessions) for each in found.copies] == [
        ("c1", "up", True, 4),
        ("c2", "drain", False, 1),
        ("c3", "maint", False, 0),
    ]
    assert found.counts == {
        "b1": DoorCounts(
            connections=8, open=5, received_bytes=70, sent_bytes=700, answers=(0, 6, 0, 0, 2, 0), answer_us=3_000
        ),
        "b1t": DoorCounts(connections=3, open=1, received_bytes=9),
    }
    for bad in (b"", b"Unknown command\n", b"a: b\n\nx\n\ny\n"):
        with pytest.raises(ValueError):  # noqa: PT011
            read_answers(bad)


def challenged(*hosts: str, thumbprint: str = "h" * 43):
    return entrance(server(1), challenge=Challenge(hosts, thumbprint))


def test_an_authority_is_answered_by_a_line_of_constants_for_hosts_in_a_file():
    shown = files(challenged("b.example", "a.example"))
    assert shown[CHALLENGED] == "b.example\na.example\n"
    (line,) = [each for each in shown[CONFIG].splitlines() if "acme-challenge" in each]
    assert f"%[path,field(4,/)].{'h' * 43}" in line
    assert line.endswith(f"-f {AROUND.folder}/{CHALLENGED} }}")
    assert "acme" not in files(entrance(server(1)))[CONFIG]
    for bad in (challenged("a.example b"), challenged("a.example", thumbprint="h h")):
        with pytest.raises(ValueError, match="authority"):
            write_files(bad, AROUND)


def test_a_copy_of_another_site_stands_by_unasked_and_is_spoken_to_from_the_networks_own_address():
    there = Server(name="r1", address="10.64.9.2", port=8080, rank=1, source="10.64.1.1")
    action = entrance(server(1), there)
    lines = files(action)[CONFIG].splitlines()
    assert "  server r1 10.64.9.2:8080 backup source 10.64.1.1" in lines
    assert list_words(action.backends, (copy(1),)) == [
        "add server b1/r1 10.64.9.2:8080 backup source 10.64.1.1",
        "enable server b1/r1",
    ]
    with pytest.raises(ValueError, match="address"):
        write_files(entrance(msgspec.structs.replace(there, source="10.64.1.1 check")), AROUND)
