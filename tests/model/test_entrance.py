"""Signed entries of an entrance: what is a place people can ask for, whoever wrote it."""

import pytest

from skerry.model.entrance import ENTRANCES_MAX, Entrance, find_entrance_flaw, is_host, is_path


@pytest.mark.parametrize("host", ["a.b", "shop.example.org", "xn--bcher-kva.example", "1.example", "a-b.c3"])
def test_a_host_is_a_name_of_two_labels(host: str):
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *["", "a", "*.b", "A.b", "a..b", ".a.b", "a.b.", "-a.b", "a-.b", "10.0.0.1", "a.1", "a b.c", "a.b\n", "a.b/c"],
        *["é.b", "a" * 64 + ".b", "a." * 127 + "b"],
    ],
)
def test_what_is_none(host: str):
    assert not is_host(host)


def test_a_path_has_steps_without_dots():
    assert all(map(is_path, ["/", "/a", "/a/b.c/~d"]))
    assert not any(map(is_path, ["", "a", "/a/", "//", "/..", "/a/./b", "/a b", "/a?b", "/a\n", "/%41", "/a" * 9]))


@pytest.mark.parametrize(
    "entries",
    [
        (Entrance(port=80),),
        (Entrance(port=0, tcp=1),),
        (Entrance(port=80, tcp=70_000),),
        (Entrance(port=80, tcp=1, udp=1),),
        (Entrance(port=80, host="*.b"),),
        (Entrance(port=80, host="a.b", path="/a/"),),
        (Entrance(port=80, tcp=1, path="/a"),),
        (Entrance(port=80, tcp=1, tls="secret", secret="x"),),
        (Entrance(port=80, host="a.b", tls="secret"),),
        (Entrance(port=80, host="a.b", secret="x"),),
        (Entrance(port=80, tcp=1), Entrance(port=81, tcp=1)),
        tuple(Entrance(port=80, tcp=port) for port in range(1, ENTRANCES_MAX + 2)),
    ],
)
def test_no_client_gets_nonsense_signed(entries: tuple[Entrance, ...]):
    assert find_entrance_flaw(entries)


def test_places_and_ports():
    plain, secure = Entrance(port=1, host="a.b", path="/c"), Entrance(port=1, host="a.b", tls="secret", secret="x")
    assert (plain.place, secure.place) == ("http/a.b/c", "http/a.b/")
    assert (plain.listens, secure.listens) == ((80,), (80, 443))
    assert Entrance(port=1, tcp=25).listens == (25,)
    assert Entrance(port=1, udp=25).listens == ()
    assert not find_entrance_flaw((plain, secure, Entrance(port=1, udp=25), Entrance(port=1, tcp=25)))
