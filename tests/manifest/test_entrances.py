"""The word ``entrance``: what it means, and what is refused at its place."""

import msgspec
import pytest
from tests.manifest.texts import accept, refuse, reject, wrap

from skerry.model.entrance import ENTRANCES_MAX, Entrance

_SECRETS = "secrets: {cert: {file: cert.pem}}"
_FILES = {"cert.pem": b"PEM"}


def _write(*entries: str) -> str:
    return "x-skerry: {entrance: [" + ", ".join(entries) + "]}"


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("{host: shop.example, port: 80}", Entrance(host="shop.example", port=80)),
        ("{host: Shop.Example, path: /a/b/, port: 80}", Entrance(host="shop.example", path="/a/b", port=80)),
        ("{host: shop.example, tls: none, port: 80}", Entrance(host="shop.example", port=80)),
        (
            "{host: shop.example, tls: {secret: cert}, port: 80}",
            Entrance(host="shop.example", tls="secret", secret="cert", port=80),
        ),
        ("{host: shop.example, tls: acme, port: 80}", Entrance(host="shop.example", tls="acme", port=80)),
        ("{tcp: 25, port: 2525}", Entrance(tcp=25, port=2525)),
        ("{udp: 5353, port: 53}", Entrance(udp=5353, port=53)),
    ],
)
def test_an_entry_says_where_people_come_in_and_to_which_port_they_are_led(entry: str, wanted: Entrance):
    found = accept(wrap(_write(entry), _SECRETS), files=_FILES)
    assert found.services["web"].entrance == (wanted,)
    assert ("cert" in found.secrets) == bool(wanted.secret)


def test_an_app_without_an_entrance_is_signed_as_before():
    assert accept(wrap("")).services["web"].entrance is msgspec.UNSET
    assert b"entrance" not in msgspec.json.encode(accept(wrap("")).services["web"])


def test_a_certificate_is_a_secret_that_the_node_needs():
    top = "secrets: {cert: {file: cert.pem}, other: {file: cert.pem}}"
    text = wrap("secrets: [other]\n" + _write("{host: a.example, tls: {secret: cert}, port: 80}"), top)
    web = accept(text, files=_FILES).services["web"]
    assert web.secret_sources == ("other", "cert")


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("{port: 80}", "E-TYPE 0"),
        ("{host: a.example, tcp: 9, port: 80}", "E-CONFLICT 0"),
        ("{host: a.example}", "E-TYPE 0"),
        ("{host: a.example, port: 0}", "E-TYPE 0/port"),
        ("{host: a.example, port: 70000}", "E-TYPE 0/port"),
        ("{host: '*.example', port: 80}", "E-TYPE 0/host"),
        ("{host: localhost, port: 80}", "E-TYPE 0/host"),
        ("{host: 10.0.0.1, port: 80}", "E-TYPE 0/host"),
        ("{host: 'a.example:80', port: 80}", "E-TYPE 0/host"),
        ("{host: 'http://a.example', port: 80}", "E-TYPE 0/host"),
        ("{host: " + "a" * 64 + ".example, port: 80}", "E-TYPE 0/host"),
        ("{host: a.0x7f.1, port: 80}", "E-TYPE 0/host"),
        ("{host: a.example, path: shop, port: 80}", "E-TYPE 0/path"),
        ("{host: a.example, path: '/a//b', port: 80}", "E-TYPE 0/path"),
        ("{host: a.example, path: /a/../b, port: 80}", "E-TYPE 0/path"),
        ("{host: a.example, path: '/a?b=c', port: 80}", "E-TYPE 0/path"),
        ("{host: a.example, path: '/%2e', port: 80}", "E-TYPE 0/path"),
        ("{host: a.example, tls: yes, port: 80}", "E-TYPE 0/tls"),
        ("{host: a.example, tls: {}, port: 80}", "E-TYPE 0/tls"),
        ("{host: a.example, tls: {secret: gone}, port: 80}", "E-REFERENCE 0/tls/secret"),
        ("{tcp: 25, path: /, port: 80}", "E-CONFLICT 0/path"),
        ("{udp: 25, tls: none, port: 80}", "E-CONFLICT 0/tls"),
        ("{tcp: 25, hosts: a.example, port: 80}", "E-UNKNOWN-WORD 0/hosts"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(entry: str, found: str):
    code, where = found.split()
    assert f"{code} x-skerry/entrance/{where}" in refuse(_write(entry))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{host: a.example, port: 80}", "{host: A.example, path: /, port: 81}"),
        ("{tcp: 25, port: 80}", "{tcp: 25, port: 81}"),
        ("{host: a.example, port: 80}", "{tcp: 80, port: 81}"),
        ("{host: a.example, tls: {secret: cert}, port: 80}", "{tcp: 443, port: 81}"),
        (
            "{host: a.example, tls: {secret: cert}, port: 80}",
            "{host: a.example, path: /b, tls: {secret: other}, port: 80}",
        ),
        ("{host: a.example, tls: acme, port: 80}", "{host: a.example, path: /b, tls: {secret: other}, port: 80}"),
        ("{host: a.example, tls: acme, port: 80}", "{tcp: 443, port: 81}"),
    ],
)
def test_two_services_of_an_app_do_not_ask_for_one_place(one: str, other: str):
    top = f"""
    services:
      api: {{image: nginx, x-skerry: {{entrance: {one}}}}}
      web: {{image: nginx, x-skerry: {{entrance: {other}}}}}
    secrets: {{cert: {{file: cert.pem}}, other: {{file: cert.pem}}}}
    """
    assert [line.split(" ", 1)[1] for line in reject(top, files=_FILES)] == [
        "E-CONFLICT /services/web/x-skerry/entrance"
    ]


def test_a_port_is_published_or_the_entrances():
    text = 'ports: ["{}"]\nx-skerry: {{entrance: [{{host: a.example, port: 80}}, {{udp: 53, port: 53}}]}}'
    assert "E-CONFLICT ports" in refuse(text.format("80:80"))
    assert "E-CONFLICT ports" in refuse(text.format("53:53/udp"))
    assert accept(wrap(text.format("53:53")))


def test_one_service_names_a_place_once_and_not_too_many():
    assert refuse(_write("{tcp: 25, port: 80}", "{tcp: 25, port: 81}")) == ["E-CONFLICT x-skerry/entrance/1"]
    many = [f"{{tcp: {port}, port: 80}}" for port in range(1, ENTRANCES_MAX + 2)]
    assert refuse(_write(*many)) == ["E-LIMIT x-skerry/entrance"]


def test_a_service_that_has_no_network_of_its_own_has_no_entrance():
    found = refuse("network_mode: none\n" + _write("{tcp: 25, port: 80}"))
    assert found == ["E-CONFLICT x-skerry/entrance"]
    # What is granted the node's network is told the same: the grant alone is refused here.
    assert "network_mode" in refuse("network_mode: host\n" + _write("{tcp: 25, port: 80}"))[0]
