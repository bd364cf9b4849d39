import pytest
from tests.manifest.texts import refuse, service

from skerry.model.app import Spread


@pytest.mark.parametrize(
    ("constraint", "node"),
    [
        ("node.labels.disk == ssd", "disk=ssd"),
        ("node.labels.disk!=ssd", "disk!=ssd"),
        ("node.hostname == box-1", "node=box-1"),
        ("node.platform.arch == x86_64", "arch=amd64"),
        ("node.platform.os==linux", "os=linux"),
    ],
)
def test_constraints_are_selectors(constraint, node):
    assert service(f"deploy: {{placement: {{constraints: ['{constraint}']}}}}").placement.node == (node,)


def test_all_constraints_hold_for_each_of_our_own_alternatives():
    fields = """
        platform: linux/arm64
        deploy: {placement: {constraints: [node.labels.a==1, node.labels.b==2]}}
        x-skerry: {placement: {node: [gpu, "memory>4"]}}
        """
    assert service(fields).placement.node == ("gpu, a=1, b=2, arch=arm64", "memory>4, a=1, b=2, arch=arm64")


def test_preferences_are_spread_where_our_own_words_say_nothing():
    fields = "deploy: {placement: {preferences: [{spread: node.labels.zone}]}}"
    assert service(fields).placement.spread == (Spread(by="label:zone"),)
    assert service(fields + "\nx-skerry: {placement: {spread: {by: site}}}").placement.spread == (Spread(by="site"),)


@pytest.mark.parametrize(
    ("placement", "found"),
    [
        ("{constraints: [node.role == manager]}", "E-FIELD-REFUSED deploy/placement/constraints/0"),
        ("{constraints: [engine.labels.x == y]}", "E-TYPE deploy/placement/constraints/0"),
        ("{constraints: [anywhere]}", "E-TYPE deploy/placement/constraints/0"),
        ("{constraints: ['node.labels.a == (b)']}", "E-TYPE deploy/placement/constraints/0"),
        ("{preferences: [{spread: node.id}]}", "E-FIELD-REFUSED deploy/placement/preferences/0/spread"),
    ],
)
def test_what_is_refused(placement, found):
    assert refuse(f"deploy: {{placement: {placement}}}") == [found]


def test_fewer_copies_than_would_fit_a_node_are_no_promise():
    service("deploy: {replicas: 2, placement: {max_replicas_per_node: 2}}")
    assert refuse("deploy: {replicas: 2, placement: {max_replicas_per_node: 1}}") == [
        "E-NOT-YET deploy/placement/max_replicas_per_node"
    ]
