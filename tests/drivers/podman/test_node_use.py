import pytest

from skerry.drivers.podman.node_use import add_node_use
from skerry.model.grants import SECURITY, Bind, Device, NodeUse


def body_of(use):
    body = {"mounts": [], "resource_limits": {"cpu": {"quota": 1}}, "hostname": "web-0", "no_new_privileges": True}
    add_node_use(body, use)
    return body


def test_devices_rules_and_processors():
    use = NodeUse(
        devices=(Device(source="/dev/fuse", target="/dev/f", access="rw"),),
        device_rules=("c 189:* rwm", "a 1:2 r"),
        cpuset="0-1",
        privileged=True,
    )
    body = body_of(use)
    assert body["devices"] == [{"path": "/dev/fuse:/dev/f:rw"}]
    assert body["device_cgroup_rule"] == [
        {"allow": True, "type": "c", "major": 189, "access": "rwm"},
        {"allow": True, "type": "a", "major": 1, "minor": 2, "access": "r"},
    ]
    assert body["resource_limits"]["cpu"] == {"quota": 1, "cpus": "0-1"}
    assert body["privileged"] is True


def test_namespaces_of_the_node():
    body = body_of(NodeUse(host=("network", "pid", "ipc", "uts")))
    assert {body[name]["nsmode"] for name in ("netns", "pidns", "ipcns", "utsns")} == {"host"}
    assert "hostname" not in body


@pytest.mark.parametrize(
    ("bind", "options"),
    [
        (Bind(source="/srv/a", target="/a"), ["rw", "rbind", "nosuid", "nodev"]),
        (Bind(source="/srv/a", target="/a", read_only=True), ["ro", "rbind", "nosuid", "nodev"]),
        (Bind(source="/srv/a", target="/a", mapped=True), ["rw", "rbind", "nosuid", "nodev", "idmap"]),
        (Bind(source="/dev", target="/dev", mapped=True), ["rw", "rbind", "nosuid"]),
        (Bind(source="/dev/shm", target="/s", mapped=True), ["rw", "rbind", "nosuid"]),
    ],
)
def test_binds(bind, options):
    (mount,) = body_of(NodeUse(binds=(bind,)))["mounts"]
    assert mount == {"type": "bind", "source": bind.source, "destination": bind.target, "options": options}


def test_every_security_option_changes_something():
    plain = body_of(NodeUse())
    for word in SECURITY:
        assert body_of(NodeUse(security=(word,))) != plain, word
    with pytest.raises(ValueError, match="no security option"):
        body_of(NodeUse(security=("other",)))
