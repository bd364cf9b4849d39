"""Files laid over each other as Compose does it, one rule at a time."""

import textwrap

import pytest

from skerry.manifest.merge import MergeLimitError, Merger
from skerry.manifest.nodes import to_plain
from skerry.manifest.tree import read_documents


def node(text):
    (document,), problems = read_documents(textwrap.dedent(text).encode(), "x")
    assert not problems
    return document


def merge(*texts):
    merger = Merger()
    result = node(texts[0])
    for text in texts[1:]:
        result = merger.merge(result, node(text))
    return to_plain(merger.strip(result))


def web(base, over):
    merged = merge(f"services: {{web: {{{base}}}}}", f"services: {{web: {{{over}}}}}")
    return merged["services"]["web"]


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ("image: a, tty: true", "image: b", {"image": "b", "tty": True}),
        ("tty: true", "tty: null", {"tty": True}),
        ("command: [a, b]", "command: [c]", {"command": ["c"]}),
        ("command: a b", "command: [c]", {"command": ["c"]}),
        ("entrypoint: [a]", "entrypoint: b", {"entrypoint": "b"}),
        (
            "healthcheck: {test: [CMD, a], retries: 3}",
            "healthcheck: {test: [CMD, b]}",
            {"healthcheck": {"test": ["CMD", "b"], "retries": 3}},
        ),
        ("environment: {A: 1, B: 2}", "environment: ['B=3', C]", {"environment": {"A": 1, "B": "3", "C": None}}),
        ("environment: ['A=1']", "environment: ['A=2', 'A=3']", {"environment": {"A": "3"}}),
        ("labels: [a]", "labels: {b: c}", {"labels": {"a": None, "b": "c"}}),
        ("ports: ['80:80']", "ports: ['80:80/tcp', '81:80']", {"ports": ["80:80/tcp", "81:80"]}),
        ("ports: [{target: 80, published: '80'}]", "ports: ['80:80']", {"ports": ["80:80"]}),
        ("volumes: ['a:/x:ro', 'b:/y']", "volumes: ['c:/x/']", {"volumes": ["c:/x/", "b:/y"]}),
        (
            "volumes: [/x]",
            "volumes: [{type: volume, source: c, target: /x}]",
            {"volumes": [{"type": "volume", "source": "c", "target": "/x"}]},
        ),
        ("configs: [a, b]", "configs: [{source: a, mode: 5}]", {"configs": [{"source": "a", "mode": 5}, "b"]}),
        ("dns: 1.1.1.1", "dns: [2.2.2.2, 1.1.1.1]", {"dns": ["1.1.1.1", "2.2.2.2"]}),
        (
            "env_file: a",
            "env_file: [{path: b}, {path: a, required: false}]",
            {"env_file": [{"path": "a", "required": False}, {"path": "b"}]},
        ),
        (
            "depends_on: [a]",
            "depends_on: {b: {condition: service_healthy}}",
            {"depends_on": {"a": {"condition": "service_started"}, "b": {"condition": "service_healthy"}}},
        ),
        ("networks: [a]", "networks: {b: {aliases: [c]}}", {"networks": {"a": None, "b": {"aliases": ["c"]}}}),
        (
            "logging: {driver: local, options: {max-size: 1m}}",
            "logging: {driver: journald}",
            {"logging": {"driver": "journald"}},
        ),
        (
            "logging: {options: {max-size: 1m}}",
            "logging: {options: {max-file: 2}}",
            {"logging": {"options": {"max-size": "1m", "max-file": 2}}},
        ),
        ("build: a", "build: {target: b}", {"build": {"context": "a", "target": "b"}}),
        (
            "ulimits: {nofile: 5}",
            "ulimits: {nofile: {soft: 1, hard: 2}}",
            {"ulimits": {"nofile": {"soft": 1, "hard": 2}}},
        ),
        (
            "x-skerry: {placement: {sites: a, node: b}}",
            "x-skerry: {placement: {sites: c}}",
            {"x-skerry": {"placement": {"sites": "c"}}},
        ),
        ("cap_add: [A]", "cap_add: [B, A]", {"cap_add": ["A", "B"]}),
        ("ports: ['80:80']", "ports: !override ['81:80']", {"ports": ["81:80"]}),
        ("ports: ['80:80'], tty: true", "ports: !reset []", {"tty": True}),
        ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", {"environment": {"B": 2}}),
        (
            "deploy: {resources: {limits: {cpus: 1}}}",
            "deploy: {resources: {limits: {memory: 1g}}}",
            {"deploy": {"resources": {"limits": {"cpus": 1, "memory": "1g"}}}},
        ),
    ],
)
def test_a_field_of_a_service(base, over, result):
    assert web(base, over) == result


def test_top_levels_come_together_and_services_keep_their_order():
    merged = merge(
        "services: {a: {image: x}, b: {image: y}}\nvolumes: {v: }",
        "services: {b: {image: z}, c: {image: z}}\nvolumes: {v: {driver: local}}\n"
        "networks: {n: {ipam: {config: [{subnet: a}]}}}",
        "networks: {n: {ipam: {config: [{subnet: b}, {subnet: a, gateway: g}]}}}",
    )
    assert list(merged["services"]) == ["a", "b", "c"]
    assert merged["services"]["b"] == {"image": "z"}
    assert merged["volumes"] == {"v": {"driver": "local"}}
    assert merged["networks"]["n"]["ipam"]["config"] == [{"subnet": "a", "gateway": "g"}, {"subnet": "b"}]


def test_a_field_that_was_taken_away_may_come_back():
    merged = merge("services: {w: {dns: [a]}}", "services: {w: {dns: !reset []}}", "services: {w: {dns: [b]}}")
    assert merged == {"services": {"w": {"dns": ["b"]}}}


def test_tags_of_a_single_file_are_carried_out():
    assert merge("a: !reset 1\nb: !override {c: [!reset x, y]}") == {"b": {"c": ["y"]}}


def test_what_merging_makes_is_limited():
    merger = Merger()
    big = node("services: {w: {labels: {" + ", ".join(f"k{index}: v" for index in range(5_000)) + "}}}")
    for _ in range(19):
        merger.merge(big, big)
    with pytest.raises(MergeLimitError):
        merger.merge(big, big)
