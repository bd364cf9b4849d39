import pytest
from tests.manifest.texts import accept, refuse, service, wrap

from skerry.model.app import Network, Port


def ports(text, field="ports"):
    return service(f"{field}: {text}").ports


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[80:80]", (Port(target=80, published=80),)),
        ("['8080:80']", (Port(target=80, published=8080),)),
        ("['8080:80/udp']", (Port(target=80, published=8080, protocol="udp"),)),
        ("['127.0.0.1:8080:80']", (Port(target=80, published=8080, host_ip="127.0.0.1"),)),
        ("['0.0.0.0:8080:80']", (Port(target=80, published=8080),)),
        ("['[::1]:8080:80']", (Port(target=80, published=8080, host_ip="::1"),)),
        ("['8000-8001:9000-9001']", (Port(target=9000, published=8000), Port(target=9001, published=8001))),
        ("['80:80', '80:80/udp']", (Port(target=80, published=80), Port(target=80, published=80, protocol="udp"))),
        ("[{target: 80, published: 8080, protocol: udp}]", (Port(target=80, published=8080, protocol="udp"),)),
        (
            "[{target: '80', published: '8080', host_ip: 10.0.0.1, mode: host}]",
            (Port(target=80, published=8080, host_ip="10.0.0.1"),),
        ),
        ("[{target: 80, published: 80, name: web, app_protocol: http}]", (Port(target=80, published=80),)),
    ],
)
def test_ports(text, found):
    assert ports(text) == found


def test_exposed_ports_stay_inside():
    assert ports("[3306, '53/udp', '8000-8001']", "expose") == (
        Port(target=3306),
        Port(target=53, protocol="udp"),
        Port(target=8000),
        Port(target=8001),
    )
    assert service("ports: ['8080:80']\nexpose: [80, 81]").ports == (Port(target=80, published=8080), Port(target=81))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("ports: ['8000-9000:80']", "E-RANGE ports/0"),
        ("ports: ['8000-8001:80-82']", "E-RANGE ports/0"),
        ("ports: ['80:80/icmp']", "E-TYPE ports/0"),
        ("ports: ['80:http']", "E-TYPE ports/0"),
        ("ports: ['70000:80']", "E-RANGE ports/0"),
        ("ports: ['80:0']", "E-RANGE ports/0"),
        ("ports: ['10.0.0:80:80']", "E-TYPE ports/0"),
        ("ports: ['80:80', '80:81']", "E-CONFLICT ports/1"),
        ("ports: [{published: 80}]", "E-TYPE ports/0"),
        ("ports: [{target: 80, published: 80, mode: swarm}]", "E-TYPE ports/0/mode"),
        ("ports: [5.5]", "E-TYPE ports/0"),
        ("expose: [web]", "E-TYPE expose/0"),
        ("network_mode: none\nports: ['80:80']", "E-CONFLICT ports"),
        ("network_mode: none\nnetworks: [default]", "E-CONFLICT network_mode"),
        ("network_mode: host", "E-FIELD-REFUSED network_mode"),
        ("network_mode: 'container:x'", "E-FIELD-REFUSED network_mode"),
        ("network_mode: 'service:db'", "E-REFERENCE network_mode"),
        ("network_mode: odd", "E-TYPE network_mode"),
        ("networks: [nowhere]", "E-REFERENCE networks/0"),
        ("networks: {nowhere: }", "E-REFERENCE networks/nowhere"),
        ("networks: {default: {aliases: ['a b']}}", "E-TYPE networks/default/aliases/0"),
        ("extra_hosts: ['host.docker.internal:host-gateway']", "E-FIELD-REFUSED extra_hosts/0"),
        ("extra_hosts: [hq]", "E-TYPE extra_hosts/0"),
        ("extra_hosts: {hq: nowhere}", "E-TYPE extra_hosts/hq"),
        ("dns: [resolver]", "E-TYPE dns/0"),
        ("hostname: 'a b'", "E-TYPE hostname"),
        ("domainname: 'a/b'", "E-TYPE domainname"),
        ("container_name: 'a+b'", "E-TYPE container_name"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields) == [found]


@pytest.mark.parametrize(
    ("fields", "networks"),
    [
        ("", {"default": ()}),
        ("networks: []", {"default": ()}),
        ("networks: [front, back]", {"front": (), "back": ()}),
        (
            "networks: {front: {aliases: [www, api]}, back: , default: {}}",
            {"front": ("api", "www"), "back": (), "default": ()},
        ),
        ("network_mode: none", {}),
        ("network_mode: bridge", {"default": ()}),
        ("container_name: my_web\nnetworks: [front]", {"front": ("my_web",)}),
        ("container_name: web", {"default": ()}),
    ],
)
def test_networks_of_a_service(fields, networks):
    assert service(fields, top="networks: {front: , back: {internal: true}}").networks == networks


def test_networks_of_the_app():
    top = "networks: {front_end: {labels: {a: 1}}, back: {internal: true, driver: bridge}}"
    manifest = accept(wrap("networks: [front_end]", top))
    assert manifest.networks == {"front-end": Network(labels={"a": "1"}), "back": Network(internal=True)}
    assert manifest.services["web"].networks == {"front-end": ()}
    assert accept(wrap("")).networks == {"default": Network()}
    assert accept(wrap("", "networks: {default: {internal: true}}")).networks == {"default": Network(internal=True)}
    assert accept(wrap("network_mode: none")).networks == {}


def test_hosts_and_name_servers():
    web = service(
        """
        extra_hosts: ['hq:10.0.0.1', 'hq=10.0.0.2', 'six:[::1]', 'seven:::2']
        dns: 1.1.1.1
        hostname: till_1
        domainname: a.example
        """
    )
    assert web.extra_hosts == ("hq:10.0.0.1", "hq:10.0.0.2", "six:::1", "seven:::2")
    assert web.dns == ("1.1.1.1",)
    assert (web.hostname, web.domainname) == ("till_1", "a.example")
    assert service("extra_hosts: {hq: [10.0.0.1, 10.0.0.2], x: 1.2.3.4}").extra_hosts == (
        "hq:10.0.0.1",
        "hq:10.0.0.2",
        "x:1.2.3.4",
    )


@pytest.mark.parametrize(
    ("ports", "among", "targets"),
    [
        ("[80]", (20_000, 29_999), [80]),
        ("['0:80']", (20_000, 29_999), [80]),
        ("['3000-3002']", (20_000, 29_999), [3000, 3001, 3002]),
        ("['8000-8009:80']", (8000, 8009), [80]),
        ("[{target: 80, published: '8000-8009'}]", (8000, 8009), [80]),
    ],
)
def test_a_port_that_the_site_chooses(ports, among, targets):
    found = service(f"ports: {ports}").ports
    assert [(port.target, port.published, port.among) for port in found] == [(one, 0, among) for one in targets]


def test_a_chosen_port_keeps_its_address_and_is_told():
    manifest = accept(wrap("ports: ['127.0.0.1::80/sctp']"))
    (port,) = manifest.services["web"].ports
    assert (port.host_ip, port.protocol) == ("127.0.0.1", "sctp")
    note = next(one for one in manifest.report if one.pointer == "/services/web/ports/0")
    assert note.detail == "a port that the site chooses from 20000 on"


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ("", "", "translated"),
        ("{internal: true}", "", "honoured"),
        ("{driver_opts: {mtu: 1400}}", "{driver_opts: {mtu: 1400}}", "translated"),
    ],
)
def test_by_which_network_a_service_leaves(a, b, verdict):
    text = wrap("networks: {a: {gw_priority: 0}, b: {gw_priority: 1}}", f"networks: {{a: {a}, b: {b}}}")
    notes = [note for note in accept(text).report if note.pointer.endswith("b/gw_priority")]
    assert [note.verdict for note in notes] == ([verdict] if verdict != "honoured" else [])


def test_where_it_matters_by_which_network_a_service_leaves_it_is_told_which_sites_can():
    top = "networks: {a: {driver_opts: {mtu: 1400}}, b: }"
    manifest = accept(wrap("networks: {a: , b: {gw_priority: 1}}", top))
    (note,) = [each for each in manifest.report if each.pointer.endswith("b/gw_priority")]
    assert 'links = "skerry"' in note.detail
    addresses = manifest.services["web"].further.addresses
    assert (addresses["b"].way, addresses["a"].way) == (2, 1)
    assert not accept(wrap("networks: {a: , b: {gw_priority: 0}}", top)).services["web"].further
