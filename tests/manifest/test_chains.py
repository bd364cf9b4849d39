"""Chains: read whole, their steps kept at one site, and everything absurd refused where it stands."""

import msgspec
import pytest
from tests.manifest.texts import accept, read, reject, tell

from skerry.manifest.canonical import assemble_revision
from skerry.manifest.values import Manifest
from skerry.model.chain import Chain, ChainEnd, ChainMatch
from skerry.model.grants import Profile
from skerry.model.ids import TenantName
from skerry.model.placing import Together

BASE = """
services:
  client: {image: a, networks: [inside]}
  wall: {image: a, networks: [inside, middle]}
  look: {image: a, networks: [middle]}
  far: {image: a, networks: [outside]}
  shut: {image: a, networks: [cell]}
  alone: {image: a, network_mode: none}
  off: {image: a, profiles: [x], networks: [middle]}
networks: {inside: {}, middle: {}, outside: {}, cell: {internal: true}}
"""


def write(*chains: str) -> str:
    return BASE + "x-skerry:\n  chain:\n" + "\n".join(f"    - {chain}" for chain in chains)


def chain(**words: str) -> str:
    given = {"name": "out", "from": "'network:inside'", "through": "[wall, look]", "to": "uplink", **words}
    return "{" + ", ".join(f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value) + "}"


def test_a_chain_is_read_with_its_defaults():
    (found,) = accept(write(chain())).chains
    start, end = ChainEnd(kind="network", name="inside"), ChainEnd(kind="uplink")
    assert found == Chain(name="out", start=start, through=("wall", "look"), end=end)
    assert (found.symmetric, found.fail, str(found.start), str(found.end)) == (
        True,
        "closed",
        "network:inside",
        "uplink",
    )


def test_every_word_of_a_chain_is_read():
    match = "{protocol: tcp, ports: [443, 8000-8010, 80], from-cidr: 10.1.0.0/16, to-cidr: ['::/0', 1.0.0.0/8]}"
    (found,) = accept(write(chain(match=match, symmetric="false", fail="open", to="far"))).chains
    assert found.match == ChainMatch(
        protocol="tcp",
        ports=((80, 80), (443, 443), (8000, 8010)),
        from_cidr=("10.1.0.0/16",),
        to_cidr=("1.0.0.0/8", "::/0"),
    )
    assert (found.symmetric, found.fail, str(found.end)) == (False, "open", "far")


def test_what_a_chain_passes_is_kept_at_one_site():
    services = accept(write(chain(to="far"))).services
    assert services["wall"].placement.rules.together == (Together(by="site", services=("far", "look")),)
    assert services["far"].placement.rules.together == (Together(by="site", services=("look", "wall")),)
    assert not services["client"].placement.rules


def test_without_a_chain_nothing_is_signed_of_it():
    manifest = accept(BASE)
    assert isinstance(manifest, Manifest)
    assert not assemble_revision(manifest, TenantName("t"), 1, {}).chains
    assert assemble_revision(accept(write(chain())), TenantName("t"), 1, {}).chains


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"through": "[wall, look, wall]"}, "E-CONFLICT /x-skerry/chain/0/through/2"),
        ({"through": "[wall, lok]"}, "E-REFERENCE /x-skerry/chain/0/through/1"),
        ({"through": "off"}, "E-REFERENCE /x-skerry/chain/0/through"),
        ({"through": "alone"}, "E-CONFLICT /x-skerry/chain/0/through"),
        ({"through": "shut"}, "E-CONFLICT /x-skerry/chain/0/through"),
        ({"through": "[look, wall]"}, "E-CONFLICT /x-skerry/chain/0/through/1"),
        ({"through": "[]"}, "E-LIMIT /x-skerry/chain/0/through"),
        ({"through": ""}, "E-TYPE /x-skerry/chain/0"),
        ({"from": "'network:nowhere'"}, "E-REFERENCE /x-skerry/chain/0/from"),
        ({"from": "'network:cell'"}, "E-CONFLICT /x-skerry/chain/0/from"),
        ({"from": "wall"}, "E-CONFLICT /x-skerry/chain/0/from"),
        ({"from": "users", "to": "client"}, "E-CONFLICT /x-skerry/chain/0/from"),
        ({"from": "users"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"to": "users"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"from": "'interface:'"}, "E-TYPE /x-skerry/chain/0/from"),
        ({"from": "'interface:a b'"}, "E-TYPE /x-skerry/chain/0/from"),
        ({"from": "'interface:sk0123456789ab'"}, "E-TYPE /x-skerry/chain/0/from"),
        ({"from": "'interfaces:lan1'"}, "E-REFERENCE /x-skerry/chain/0/from"),
        ({"from": "'interface:lan1'", "to": "'interface:lan1'"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"from": "'interface:lan1'", "through": "[wall, look, wall]"}, "E-CONFLICT /x-skerry/chain/0/through/2"),
        ({"to": "'network:inside'"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"to": "client"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"from": "uplink"}, "E-CONFLICT /x-skerry/chain/0/to"),
        ({"max_latency": "5m"}, "E-RANGE /x-skerry/chain/0/max-latency"),
        ({"bandwidth": "5Mbit/s"}, "E-NOT-YET /x-skerry/chain/0/bandwidth"),
        ({"fail": "ajar"}, "E-TYPE /x-skerry/chain/0/fail"),
        ({"match": "{ports: 80}"}, "E-CONFLICT /x-skerry/chain/0/match"),
        ({"match": "{protocol: gre}"}, "E-TYPE /x-skerry/chain/0/match/protocol"),
        ({"match": "{protocol: tcp, ports: 90-80}"}, "E-RANGE /x-skerry/chain/0/match/ports"),
        ({"match": "{protocol: tcp, ports: [http]}"}, "E-TYPE /x-skerry/chain/0/match/ports/0"),
        ({"match": "{to-cidr: 10.0.0.1/8}"}, "E-TYPE /x-skerry/chain/0/match/to-cidr"),
        ({"nme": "x"}, "E-UNKNOWN-WORD /x-skerry/chain/0/nme"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(words: dict[str, str], problem: str):
    found = [line.partition(" ")[2] for line in reject(write(chain(**words)))]
    assert problem in found


def give(text: str, profile: Profile | None) -> list[str]:
    """Return what is wrong with an app of an operator's own profile."""
    text = text.replace("x-skerry:\n", "x-skerry:\n  profile: edge\n")
    found = read(text, grants={} if profile is None else {"edge": (profile,)})
    return [] if isinstance(found, Manifest) else [f"{one.code} {one.pointer}" for one in found.problems]


GRANT = Profile(tenants=(TenantName("t"),), interfaces=("lan*",))
LED = chain(**{"from": "'interface:lan1'"})


def test_a_device_is_an_end_where_a_profile_grants_it():
    assert give(write(LED), GRANT) == []
    # One that is not known yet is asked at apply.
    assert give(write(LED), None) == []
    other = msgspec.structs.replace(GRANT, interfaces=("wan0", "lan1/5"))
    assert give(write(LED), other) == ["E-FIELD-REFUSED /x-skerry/chain/0/from"]
    # The profiles that are built in grant none.
    assert "E-FIELD-REFUSED /x-skerry/chain/0/from" in [line.partition(" ")[2] for line in reject(write(LED))]


def test_a_device_that_a_network_of_the_app_has_whole_is_refused():
    text = write(LED).replace("outside: {}", "outside: {x-skerry: {kind: KIND, parent: lan1}}")
    assert give(text.replace("KIND", "bridge"), GRANT) == ["E-CONFLICT /x-skerry/chain/0/from"]
    assert give(text.replace("KIND", "macvlan"), GRANT) == []


def test_users_are_those_of_published_ports():
    text = write(chain(**{"from": "users", "to": "client", "through": "[look, wall]"}))
    served = text.replace("client: {image: a,", "client: {image: a, ports: ['8080:80'],")
    (found,) = accept(served).chains
    assert (found.start, str(found.start)) == (ChainEnd(kind="users"), "users")
    network = served.replace("to: client", "to: 'network:inside'")
    assert accept(network).chains
    (line,) = [line for line in tell(text) if "E-CONFLICT" in line]
    assert "users reach nothing in client: no service there has a published port" in line


@pytest.mark.parametrize(
    ("wall", "look", "is_refused"),
    [
        ("sites: role=branch", "sites: role=hub", True),
        ("sites: {names: oslo}", "sites: {names: [rome, bergen]}", True),
        ("sites: ['role=branch,size=1', 'role=lab']", "sites: 'role=hub'", True),
        ("sites: role=branch", "sites: ['role=hub', 'role=branch,size=1']", False),
        ("sites: role=branch", "sites: size=1", False),
        ("sites: {names: [oslo, rome]}", "sites: {names: rome}", False),
    ],
)
def test_no_chain_leads_from_one_site_to_another(wall: str, look: str, is_refused: bool):
    text = write(chain())
    for name, words in (("wall", wall), ("look", look)):
        head, line, tail = text.partition(f"  {name}: {{image: a")
        text = f"{head}{line}, x-skerry: {{placement: {{{words}}}}}{tail}"
    found = read(text)
    problems = [] if isinstance(found, Manifest) else [f"{one.code} {one.pointer}" for one in found.problems]
    assert problems == (["E-CONFLICT /x-skerry/chain/0/through/1"] if is_refused else [])


def test_two_chains_have_two_names():
    problems = reject(write(chain(), chain(match="{protocol: udp}")))
    assert [line.partition(" ")[2] for line in problems] == ["E-CONFLICT /x-skerry/chain/1/name"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({}, {"through": "look", "fail": "open"}),
        ({}, {"from": "uplink", "to": "'network:inside'", "through": "wall"}),
        ({"symmetric": "false"}, {"from": "uplink", "to": "'network:inside'", "through": "wall"}),
        ({"from": "client", "to": "far", "through": "wall"}, {"from": "wall", "to": "uplink", "through": "look"}),
        ({"from": "look", "to": "far", "through": "wall"}, {"from": "wall", "to": "far", "through": "look"}),
        ({"from": "'interface:lan1'"}, {"from": "'interface:lan1'", "through": "look"}),
        ({"from": "'interface:lan1'"}, {"from": "'interface:lan1'", "to": "'interface:lan2'"}),
        ({"from": "uplink", "to": "far"}, {"from": "'interface:lan1'", "to": "far"}),
        ({"from": "uplink", "to": "far"}, {"from": "users", "to": "far"}),
    ],
)
def test_two_chains_that_would_pass_each_other_by_are_told_at_the_second(first: dict[str, str], second: dict[str, str]):
    problems = reject(write(chain(**first), chain(name="two", **second)))
    assert "E-CONFLICT /x-skerry/chain/1" in [line.partition(" ")[2] for line in problems]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"match": "{protocol: tcp}"}, {"match": "{protocol: udp}"}),
        ({"match": "{protocol: tcp, ports: 80}"}, {"match": "{protocol: tcp}"}),
        ({"symmetric": "false"}, {"from": "uplink", "to": "'network:inside'", "through": "wall", "symmetric": "false"}),
        ({"to": "far"}, {"to": "uplink"}),
        ({"to": "uplink"}, {"from": "uplink", "to": "far", "through": "look"}),
    ],
)
def test_two_chains_with_traffic_of_their_own_are_taken(first: dict[str, str], second: dict[str, str]):
    assert len(accept(write(chain(**first), chain(**({"name": "two"} | second)))).chains) == 2
