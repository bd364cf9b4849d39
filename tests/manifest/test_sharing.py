import pytest
from tests.manifest.texts import accept, read

from skerry.manifest.values import Rejected
from skerry.model.placing import Together

VPN = "vpn: {image: x, ports: ['80:80']}"


def app(fields, vpn=VPN, more=""):
    return f"services: {{{vpn}, web: {{image: x, {fields}}}{more}}}"


def refuse(fields, vpn=VPN, more=""):
    rejected = read(app(fields, vpn, more))
    assert isinstance(rejected, Rejected), rejected
    return [f"{one.code} {one.pointer.removeprefix('/services/web/')}" for one in rejected.problems]


def test_it_is_placed_with_the_one_whose_namespaces_it_shares_and_starts_after_it():
    web = accept(app("network_mode: 'service:vpn', pid: 'service:vpn', ipc: 'service:vpn'")).services["web"]
    assert web.further.shares == {"network": "vpn", "pid": "vpn", "ipc": "vpn"}
    assert (web.networks, web.ports) == ({}, ())
    assert web.depends_on == {"vpn": "started"}
    assert web.placement.rules.together == (Together(by="node", services=("vpn",)),)


def test_what_it_waits_for_is_its_own_to_say():
    text = app(
        "network_mode: 'service:vpn', depends_on: {vpn: {condition: service_healthy}}",
        "vpn: {image: x, healthcheck: {test: x}}",
    )
    assert accept(text).services["web"].depends_on == {"vpn": "healthy"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("network_mode: 'service:web'", "E-REFERENCE network_mode"),
        ("network_mode: 'service:gone'", "E-REFERENCE network_mode"),
        ("network_mode: 'service:vpn', ports: ['81:81']", "E-CONFLICT ports"),
        ("network_mode: 'service:vpn', dns: 192.0.2.1", "E-CONFLICT dns"),
        ("network_mode: 'service:vpn', sysctls: {net.core.somaxconn: 1}", "E-CONFLICT sysctls/net.core.somaxconn"),
        ("network_mode: 'service:vpn', x-skerry: {health: {tcp: 80}}", "E-CONFLICT x-skerry/health"),
        ("pid: 'service:vpn', init: true", "E-CONFLICT init"),
        ("ipc: 'service:vpn', shm_size: 1m", "E-CONFLICT shm_size"),
        ("network_mode: 'service:vpn', deploy: {replicas: 2}", "E-FIELD-REFUSED network_mode"),
        ("uts: 'service:vpn'", "E-TYPE uts"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, found):
    assert refuse(fields) == [found]


@pytest.mark.parametrize(
    ("fields", "vpn", "more"),
    [
        ("network_mode: 'service:vpn', pid: 'service:db'", VPN, ", db: {image: x}"),
        ("pid: 'service:vpn'", "vpn: {image: x, network_mode: 'service:db'}", ", db: {image: x}"),
        ("ipc: 'service:vpn'", "vpn: {image: x, ipc: none}", ""),
        ("pid: 'service:vpn', deploy: {replicas: 2}", "vpn: {image: x, deploy: {replicas: 2}}", ""),
    ],
)
def test_what_no_runtime_can_do_is_refused(fields, vpn, more):
    (found,) = refuse(fields, vpn, more)
    assert found.startswith("E-FIELD-REFUSED")


def test_copies_of_each_site_share_one_by_one():
    text = app("pid: 'service:vpn'") + "\nx-skerry: {placement: {replicas: {per-site: 3}}}"
    web = accept(text).services["web"]
    assert (web.further.shares, web.placement.replicas.per_site) == ({"pid": "vpn"}, 3)
