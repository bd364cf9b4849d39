"""Each field of an instance's specification, as podman's create body says it."""

from typing import Any

import msgspec
import pytest
from tests.drivers.podman.specs import DIGEST, FULL, SPEC

from skerry.drivers.podman.alongside import JOINED, PRE_STOP, read_pre_stop
from skerry.drivers.podman.spec import (
    DEFAULT_CAPABILITIES,
    container_body,
    container_name,
    network_body,
)
from skerry.model.app import Further, Mount, NetworkPlan, Subnet
from skerry.model.ids import NetworkName, ServiceName, digest_of
from skerry.model.instance import InstanceSpec
from skerry.plan.actions import CreateNetwork

UID = 265_536
BODY = container_body(FULL, DIGEST, UID, [("/run/files/0", "/etc/app.conf"), ("/run/files/1", "/run/secrets/key")])
PLAIN = container_body(SPEC, DIGEST, UID, [])
RANGE = [{"container_id": 0, "host_id": UID, "size": 65_536}]

#: Field of the specification to the part of the body that says it; None for what the agent itself does.
EXPECTED: dict[str, dict[str, Any] | None] = {
    "tenant": {"name": container_name(FULL, DIGEST)},
    "app": {"name": "skerry-alpha-shop-web-2-" + DIGEST.removeprefix("sha256:")[:12]},
    "service": {"name": container_name(FULL, DIGEST)},
    "ordinal": {"name": container_name(FULL, DIGEST)},
    "image": None,
    "image_config": {"image": FULL.image_config.removeprefix("sha256:")},
    "image_size_bytes": None,
    "command": {"command": ["serve", "--all"]},
    "entrypoint": {"entrypoint": ["/bin/app"]},
    "environment": {"env": {"A": "b=c"}},
    "working_dir": {"work_dir": "/srv"},
    "user": {"user": "1000:1000"},
    "group_add": {"groups": ["44"]},
    "hostname": {"hostname": "till.shop.example"},
    "domainname": {"hostname": "till.shop.example"},
    "labels": {},
    "init": {"init": True},
    "tty": {"terminal": True},
    "stdin_open": {"stdin": True},
    "read_only": {"read_only_filesystem": True},
    "cap_add": {"cap_add": sorted({*DEFAULT_CAPABILITIES, "SYS_NICE"} - {"NET_RAW"}), "cap_drop": ["ALL"]},
    "cap_drop": {"cap_drop": ["ALL"]},
    "stop_signal": {"stop_signal": 37},
    "stop_grace_us": {"stop_timeout": 7},
    "mounts": {
        "volumes": [
            {"Name": "skerry.alpha.shop.data", "Dest": "/data", "Options": ["rw"]},
            {"Name": "skerry.alpha.shop.old", "Dest": "/old", "Options": ["ro"]},
            {"Name": "skerry.alpha.shop.fresh", "Dest": "/fresh", "Options": ["rw", "nocopy"]},
        ]
    },
    "files": {
        "mounts": [
            {
                "type": "tmpfs",
                "source": "tmpfs",
                "destination": "/tmp",
                "options": ["rw", "nosuid", "nodev", "size=65536", "noexec", "mode=1750"],
            },
            {"type": "bind", "source": "/run/files/0", "destination": "/etc/app.conf", "options": ["ro", "rbind"]},
            {"type": "bind", "source": "/run/files/1", "destination": "/run/secrets/key", "options": ["ro", "rbind"]},
        ]
    },
    "secrets": {},
    "ports": {
        "portmappings": [
            {"container_port": 80, "host_port": 8080, "host_ip": "127.0.0.1", "protocol": "tcp"},
            {"container_port": 53, "host_port": 53, "host_ip": "", "protocol": "udp"},
        ]
    },
    "networks": {
        "netns": {"nsmode": "bridge"},
        "networks": {
            "skerry.alpha.shop.back": {
                "aliases": ["ledger", "web"],
                "static_ips": ["10.7.0.9"],
                "static_mac": "02:00:00:00:00:09",
                "interface_name": "lan0",
            },
            "skerry.alpha.shop.default": {"aliases": ["web"]},
        },
    },
    "extra_hosts": {"hostadd": ["bank:192.0.2.7"]},
    "dns": {"dns_server": ["192.0.2.53"]},
    "healthcheck": {
        "healthconfig": {"Test": ["CMD", "/bin/well"], "Interval": 0, "Timeout": 3_000_000_000, "Retries": 1}
    },
    "depends_on": None,
    "restart_with": None,
    "restart": {"restart_policy": "no"},
    "limits": {
        "resource_limits": {
            "pids": {"limit": 50},
            "memory": {"limit": 64 << 20, "swap": 128 << 20},
            "cpu": {"period": 100_000, "quota": 150_000, "shares": 512},
            "blockIO": {"weight": 50},
        }
    },
    "shm_bytes": {"shm_size": 1 << 20},
    "ulimits": {
        "r_limits": [
            {"type": "nofile", "soft": 100, "hard": 200},
            {"type": "core", "soft": 2**64 - 1, "hard": 2**64 - 1},
        ]
    },
    "sysctls": {"sysctl": {"net.core.somaxconn": "1024"}},
    "restart_counter": None,
    "joined": None,
    "folders": {},
    "further": {
        "annotations": {"made.by": "tests"},
        "dns_option": ["ndots:2"],
        "dns_search": ["shop.example"],
        "oom_score_adj": 100,
        "storage_opts": {"size": str(1 << 30)},
        "ipcns": {"nsmode": "none"},
        "log_configuration": {"driver": "k8s-file", "size": 1 << 20},
        "throttleReadBpsDevice": {"/dev/sda": {"rate": 1 << 20}},
        "throttleWriteBpsDevice": {"/dev/sda": {"rate": 1 << 21}},
        "throttleReadIOPSDevice": {"/dev/sda": {"rate": 100}},
        "throttleWriteIOPSDevice": {"/dev/sda": {"rate": 200}},
        "weightDevice": {"/dev/sda": {"weight": 300}},
        "devices": [{"path": "nvidia.com/gpu=0"}],
    },
}
#: Of every container, whatever its tenant signed.
ALWAYS = {
    "userns": {"nsmode": "private"},
    "idmappings": {"HostUIDMapping": False, "HostGIDMapping": False, "UIDMap": RANGE, "GIDMap": RANGE},
    "no_new_privileges": True,
}


@pytest.mark.parametrize("field", InstanceSpec.__struct_fields__)
def test_every_field_is_in_the_body(field: str):
    expected = EXPECTED[field]
    for key, value in (expected or {}).items():
        assert BODY[key] == value


def test_the_body_has_no_word_that_nobody_looked_at():
    looked_at = {"labels", *ALWAYS} | {key for part in EXPECTED.values() for key in part or {}}
    assert BODY.keys() <= looked_at


def test_what_an_image_or_a_tenant_says_is_no_word_about_stops_and_namespaces():
    forged = msgspec.structs.replace(SPEC, labels={PRE_STOP: '[{"command":["x"],"privileged":true}]', JOINED: DIGEST})
    labels = container_body(forged, DIGEST, UID, [])["labels"]
    assert (labels[PRE_STOP], labels[JOINED]) == ("", "")
    assert read_pre_stop(labels) == ()
    assert read_pre_stop(BODY["labels"]) == FULL.further.pre_stop


def test_one_in_the_namespaces_of_another_is_in_its_namespace_of_users_and_has_no_network_of_its_own():
    further = Further(shares={"network": ServiceName("vpn"), "pid": ServiceName("vpn")})
    spec = msgspec.structs.replace(SPEC, further=further, joined=digest_of(b"vpn"))
    body = container_body(spec, DIGEST, UID, [])
    name = "skerry-alpha-shop-vpn-0-" + digest_of(b"vpn")[7:19]
    for field in ("netns", "pidns", "userns"):
        assert body[field] == {"nsmode": "container", "value": name}
    assert "ipcns" not in body
    assert "networks" not in body
    assert body["labels"][JOINED] == spec.joined
    with pytest.raises(ValueError, match="nothing is known"):
        container_body(msgspec.structs.replace(spec, joined=msgspec.UNSET), DIGEST, UID, [])


def test_a_tenants_labels_cannot_take_the_place_of_ours():
    assert BODY["labels"]["role"] == "front"
    assert BODY["labels"]["dev.skerry.instance"] == FULL.id
    assert BODY["labels"]["dev.skerry.spec"] == DIGEST
    assert BODY["labels"]["dev.skerry.volumes"] == "data,fresh,old"


@pytest.mark.parametrize("body", [BODY, PLAIN])
def test_what_keeps_an_instance_in_is_always_there(body: dict[str, Any]):
    assert {key: body[key] for key in ALWAYS} == ALWAYS
    assert body["resource_limits"]["pids"]["limit"] > 0
    assert "ALL" not in body["cap_add"]


def test_a_plain_instance_has_no_network_and_the_images_own_words():
    assert PLAIN["netns"] == {"nsmode": "none"}
    assert PLAIN["hostname"] == "web-0"
    assert PLAIN.keys().isdisjoint({"command", "entrypoint", "user", "work_dir", "portmappings", "healthconfig"})


def test_no_entrypoint_is_not_the_images_own():
    body = container_body(msgspec.structs.replace(SPEC, entrypoint=(), command=("/bin/x",)), DIGEST, UID, [])
    assert (body["entrypoint"], body["command"]) == ([""], ["/bin/x"])


def test_dropping_all_capabilities_leaves_the_added_ones():
    spec = msgspec.structs.replace(SPEC, cap_drop=("ALL",), cap_add=("chown",))
    assert container_body(spec, DIGEST, UID, [])["cap_add"] == ["CHOWN"]


@pytest.mark.parametrize(("word", "number"), [("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN+3", 37)])
def test_signals_are_numbers(word: str, number: int):
    spec = msgspec.structs.replace(SPEC, stop_signal=word)
    assert container_body(spec, DIGEST, UID, [])["stop_signal"] == number


@pytest.mark.parametrize("word", ["SIGNONE", "0", "999", "SIGRTMIN+99", "-1"])
def test_what_is_no_signal_is_refused(word: str):
    with pytest.raises(ValueError, match=r"no signal|invalid literal"):
        container_body(msgspec.structs.replace(SPEC, stop_signal=word), DIGEST, UID, [])


def test_a_long_name_still_tells_specifications_apart():
    spec = msgspec.structs.replace(SPEC, tenant="t" * 63, app="a" * 63, service="s" * 63)
    assert len(container_name(spec, DIGEST)) < 200
    assert container_name(spec, DIGEST) != container_name(spec, SPEC.image)


def test_mounts_of_one_volume_twice_are_one_label():
    mounts = (Mount(kind="volume", source="d", target="/a"), Mount(kind="volume", source="d", target="/b"))
    body = container_body(msgspec.structs.replace(SPEC, mounts=mounts), DIGEST, UID, [])
    assert body["labels"]["dev.skerry.volumes"] == "d"
    assert len(body["volumes"]) == 2


def test_a_network_says_whose_it_is_and_on_which_bridge():
    body = network_body(CreateNetwork(tenant="alpha", app="shop", name="default", internal=True), set())
    assert (body["name"], body["internal"], body["dns_enabled"]) == ("skerry.alpha.shop.default", True, True)
    assert len(body["network_interface"]) == 14
    assert body["labels"] == {
        "dev.skerry.tenant": "alpha",
        "dev.skerry.app": "shop",
        "dev.skerry.network": "default",
    }


def test_the_addresses_of_a_network_are_those_that_its_plan_asks_for():
    plan = NetworkPlan(
        subnets=(Subnet(subnet="10.7.0.0/24", gateway="10.7.0.1", first="10.7.0.8", last="10.7.0.9"),), mtu=1400
    )
    body = network_body(CreateNetwork(tenant="alpha", app="shop", name="back", internal=False, plan=plan), set())
    assert body["subnets"] == [
        {"subnet": "10.7.0.0/24", "gateway": "10.7.0.1", "lease_range": {"start_ip": "10.7.0.8", "end_ip": "10.7.0.9"}}
    ]
    assert body["options"] == {"mtu": "1400"}
    assert len(body["labels"]["dev.skerry.plan"]) == 16


def test_a_network_with_addresses_of_version_6_has_some_of_version_4_too():
    plan = NetworkPlan(subnets=(Subnet(subnet="fd00:7::/64"),), ipv6=True)
    body = network_body(CreateNetwork(tenant="alpha", app="shop", name="back", internal=False, plan=plan), set())
    assert [one["subnet"].partition(":")[0] for one in body["subnets"]] == ["fd00", body["subnets"][1]["subnet"]]
    assert body["ipv6_enabled"]


def test_podman_is_told_the_limits_that_it_would_choose_too_high_itself():
    def limits(spec: InstanceSpec) -> dict[str, int]:
        body = container_body(spec, DIGEST, UID, [], {"nofile": 20_000, "nproc": -1})
        return {limit["type"]: limit["hard"] for limit in body.get("r_limits", ())}

    assert limits(SPEC) == {}
    assert limits(FULL) == {"nofile": 200, "core": 2**64 - 1, "nproc": 2**64 - 1}


def test_a_log_is_as_large_as_asked_for_and_never_larger_than_the_sites_own():
    def log(**words):
        spec = msgspec.structs.replace(SPEC, further=Further(**words))
        return container_body(spec, DIGEST, UID, [])["log_configuration"]

    assert PLAIN["log_configuration"] == {"driver": "k8s-file", "size": 10 * 1024 * 1024}
    assert log(log_bytes=1 << 40) == PLAIN["log_configuration"]
    assert log(log="none") == {"driver": "none"}


def test_where_the_node_answers_for_names_podman_starts_no_server_and_instances_ask_the_node():
    action = CreateNetwork(tenant=SPEC.tenant, app=SPEC.app, name=NetworkName("mesh"), internal=False, names=True)
    body = network_body(action, set())
    assert body["dns_enabled"] is False
    assert body["labels"]["dev.skerry.names"] == "node"
    assert network_body(msgspec.structs.replace(action, names=False), set())["dns_enabled"] is True
    asking = container_body(SPEC, DIGEST, UID, [], name_servers=("10.176.1.1", "10.176.2.1"))
    assert asking["dns_server"] == ["10.176.1.1", "10.176.2.1", *SPEC.dns]
    assert asking["dns_search"] == ["."]
    assert "dns_search" not in PLAIN


def test_at_most_three_name_servers_are_named_the_node_first():
    spec = msgspec.structs.replace(SPEC, dns=("192.0.2.1", "192.0.2.2"))
    servers = container_body(spec, DIGEST, UID, [], name_servers=("10.176.1.1", "10.176.2.1"))["dns_server"]
    assert servers == ["10.176.1.1", "10.176.2.1", "192.0.2.1"]
