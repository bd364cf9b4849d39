"""The signed form: golden texts, which a later release must make again byte for byte, and what sites say of it."""

import re
from pathlib import Path

import msgspec
import pytest
from tests.manifest.texts import DATA, accept, image_of, wrap

from skerry.manifest.canonical import build_revision
from skerry.manifest.definitions import Known
from skerry.manifest.values import Rejected
from skerry.model.app import AppRevision
from skerry.model.geography import Region
from skerry.trust.envelope import encode_payload
from skerry.trust.parse import parse_payload

GOLDEN = Path(__file__).parent.parent / "golden" / "manifest"


def build(manifest):
    images = {use.name: image_of(use.name) for use in manifest.images}
    revision = build_revision(manifest, tenant="default", number=7, images=images, definitions=DEFINITIONS)
    assert isinstance(revision, AppRevision)
    return revision


def built_words_of_pos():
    """The point of sale without the lines whose words are not built."""
    text = (DATA / "manifest" / "pos.yaml").read_text()
    for unbuilt in (
        r"    x-skerry: \{priority: 800\}\n",
        r", x-skerry: \{max-offline.*?\}(?=\}\n)",
        r"    geofence:.*?\n",
        r"    same-node:.*?\n",
        r"  (?:autonomy|rollout|priority):.*?\n",
    ):
        text, count = re.subn(unbuilt, "", text)
        assert count
    return text


FURTHER = """
services:
  web:
    image: nginx
    ports: [80, "8000-8009:81/udp"]
    tmpfs: /run:mode=1750,exec
    volumes: ["data:/data:nocopy", "/etc/localtime:/etc/localtime:ro", "/tmp/cache:/cache"]
    networks: {lan: {ipv4_address: 172.29.7.9, mac_address: "02:00:00:00:00:09", interface_name: lan0}}
    mem_limit: 64m
    memswap_limit: 96m
    cpu_shares: 512
    oom_score_adj: 100
    ulimits: {core: -1}
    dns_search: shop.example
    dns_opt: ["ndots:2"]
    annotations: {made.by: tests}
    logging: {driver: none}
networks: {lan: {ipam: {config: [{subnet: 172.29.7.0/24, gateway: 172.29.7.1}]}, driver_opts: {mtu: 1400}}}
volumes: {data: }
"""
PLACING = """
services:
  till: {image: nginx}
  db:
    image: postgres
    volumes: ["data:/data"]
    x-skerry: {placement: {residency: {jurisdictions: [NO], covers: [volumes]}, max-price: 0.25, if-none: fail}}
  watch:
    image: watch
    x-skerry:
      tier: edge
      placement: {apart: {of: [watch, other/watch], by: site}, prefer: {cost: 2, fill: pack, labels: {match: disk}}}
  count:
    image: count
    x-skerry:
      placement:
        sites: {match: tier=region, nearest: watch, max-rtt: 40ms, max: 3}
        latency:
          - {to: core, max-rtt: 60ms, basis: measured}
          - {to: {service: watch, any: false}, weight: 3}
          - {to: {place: {lat: 59.91, lon: 10.75}}, max-rtt: 20ms}
volumes: {data: }
x-skerry:
  placement:
    same-node: [till, db]
    geofence:
      countries: ["NO", "SE"]
      not: {around: {point: {lat: 59.33, lon: 18.06}, km: 10}}
      polygon: {type: Polygon, coordinates: [[[4, 55], [32, 55], [32, 72], [4, 72], [4, 55]]]}
    tiers: {edge: {sites: tier=edge, geofence: {countries: "NO"}}}
"""
NAMING = """
services:
  web:
    image: nginx
    x-skerry:
      placement:
        latency: [{to: {users: customers}, max-rtt: 20ms, quantile: 0.9}]
        residency: {not: {areas: [islands]}}
x-skerry: {placement: {geofence: {areas: [nordics, islands]}}}
"""
ALONGSIDE = """
services:
  tunnel: {image: tunnel}
  web:
    image: nginx
    network_mode: service:tunnel
    ipc: service:tunnel
    gpus: [{count: 2}]
    post_start: [{command: [prepare, "${SKERRY_SITE}"], user: root, environment: {A: b}}]
    pre_stop: [{command: drain, working_dir: /srv}]
    blkio_config:
      device_read_bps: [{path: /dev/sda, rate: 1mb}]
      weight_device: [{path: /dev/sda, weight: 300}]
"""
DEFINITIONS = {
    ("area", "nordics"): Known(2, Region(countries=("NO", "SE"))),
    ("area", "islands"): Known(1, Region(countries=("IS",), outside=Region(polygon=((((1, 2), (3, 4), (5, 7)),),)))),
    ("user-group", "customers"): Known(7, ((10_750_000, 59_910_000, 3), (18_070_000, 59_330_000, 1))),
}
TEXTS = {
    "wordpress": (DATA / "compose" / "docker-awesome-compose__wordpress-mysql-compose.yaml").read_bytes(),
    "flows": (DATA / "compose" / "mqtt-flows-database.compose.yaml").read_bytes(),
    "pos": built_words_of_pos().encode(),
    "further": FURTHER.encode(),
    "placing": PLACING.encode(),
    "naming": NAMING.encode(),
    "alongside": ALONGSIDE.encode(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_signed_form_is_frozen(name):
    project = None if name == "pos" else name
    revision = build(accept(TEXTS[name], project=project))
    assert msgspec.json.format(encode_payload(revision)).decode() + "\n" == (GOLDEN / f"{name}.json").read_text()


@pytest.mark.parametrize("name", TEXTS)
def test_a_site_reads_the_very_same_app(name):
    revision = build(accept(TEXTS[name], project="app"))
    assert parse_payload(encode_payload(revision), AppRevision) == revision


def test_every_default_is_written_out():
    payload = msgspec.json.decode(encode_payload(build(accept(wrap("healthcheck: {test: x}")))))
    web = payload["services"]["web"]
    assert web["stop-grace-us"] == 10_000_000
    assert web["healthcheck"]["interval-us"] == 30_000_000
    assert web["placement"]["spread"] == [{"by": "node", "max-skew": 1, "require": False}]
    assert web["restart"] == {"policy": "no", "max-attempts": 0}
    assert web["networks"] == {"default": []}


def test_the_order_of_the_text_does_not_change_the_bytes():
    one = accept("services: {a: {image: x, labels: {p: q, r: s}}, b: {image: y}}")
    other = accept("services: {b: {image: y}, a: {labels: {r: s, p: q}, image: x}}")
    assert encode_payload(build(msgspec.structs.replace(one, source=other.source))) == encode_payload(build(other))


def test_a_missing_image_is_told_where_it_is_named():
    manifest = accept("services:\n  a: {image: x}\n  b: {image: y}\n  c: {image: x}\n")
    rejected = build_revision(manifest, tenant="default", number=1, images={"y": image_of("y")})
    assert isinstance(rejected, Rejected)
    assert [(one.code, one.line, one.pointer) for one in rejected.problems] == [
        ("E-IMAGE", 2, "/services/a/image"),
        ("E-IMAGE", 4, "/services/c/image"),
    ]
    assert rejected.problems[0].hint.startswith("skerry image push")


def test_an_image_keeps_the_name_that_people_wrote():
    found = msgspec.structs.replace(image_of("x"), name="docker.io/library/nginx:latest")
    revision = build_revision(accept(wrap("")), tenant="default", number=1, images={"nginx": found})
    assert revision.services["web"].image == msgspec.structs.replace(found, name="nginx")


def test_too_many_keys_are_refused():
    labels = ", ".join(f"k{index}: v" for index in range(6000))
    manifest = accept(wrap(f"labels: {{{labels}}}"))
    twice = {**manifest.services, "other": manifest.services["web"]}
    manifest = msgspec.structs.replace(manifest, services=twice, images=())
    rejected = build_revision(manifest, tenant="t", number=1, images={})
    assert [one.code for one in rejected.problems] == ["E-LIMIT"]
