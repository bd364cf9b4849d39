import msgspec
import pytest

from skerry.model.grants import (
    GRANTABLE,
    POWERLESS,
    Bind,
    BindGrant,
    Device,
    Need,
    NodeUse,
    Profile,
    find_bind,
    find_bind_flaw,
    find_planted,
    find_profile_flaw,
    find_use_flaw,
    is_granted,
    list_needs,
    map_binds,
    matches_device,
)
from skerry.model.ids import TenantName
from skerry.model.limits import GRANTS_MAX
from skerry.model.profile import CAPABILITIES

TENANTS = (TenantName("alpha"),)
CAMS = BindGrant(path="/srv/cams", writable=True)
MAPS = BindGrant(path="/srv/maps")
PROFILE = Profile(tenants=TENANTS, devices=("/dev/net/tun", "/dev/ttyUSB[0-3]"), binds=(CAMS, MAPS), host=("pid",))


def test_docker_s_capabilities_those_that_can_be_granted_and_those_that_do_nothing_are_apart():
    assert not CAPABILITIES & GRANTABLE
    assert not POWERLESS & (GRANTABLE | CAPABILITIES)


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("/dev/ttyUSB*", "/dev/ttyUSB7", True),
        ("/dev/ttyUSB*", "/dev/ttyUSB/7", False),
        ("/dev/*", "/dev/net/tun", False),
        ("/dev/*/tun", "/dev/net/tun", True),
        ("/dev/tty[0-3]", "/dev/tty4", False),
        ("/dev/fuse", "/dev/FUSE", False),
    ],
)
def test_a_star_stays_within_one_step(pattern, path, is_meant):
    assert matches_device(pattern, path) is is_meant


@pytest.mark.parametrize(
    ("need", "granted"),
    [
        (Need("devices", "/dev/ttyUSB2"), True),
        (Need("devices", "/dev/ttyUSB9"), False),
        (Need("pid"), True),
        (Need("network_mode"), False),
        (Need("privileged"), False),
        (Need("cpuset", "0"), False),
        (Need("cap_add", "NET_ADMIN"), False),
        (Need("security_opt", "seccomp=unconfined"), False),
        (Need("device_cgroup_rules", "c 1:* r"), False),
        (Need("bind", "/srv/cams", writes=True), True),
        (Need("bind", "/srv/cams"), True),
        (Need("bind", "/srv/cams/inner"), False),
        (Need("bind", "/srv/maps/inner/x"), True),
        (Need("bind", "/srv/maps", writes=True), False),
        (Need("bind", "/srv/mapsx"), False),
        (Need("bind", "/srv"), False),
    ],
)
def test_what_is_not_named_is_not_granted(need, granted):
    assert is_granted(PROFILE, need) is granted


def test_a_use_needs_each_thing_that_it_names():
    use = NodeUse(
        devices=(Device(source="/dev/fuse", target="/dev/f"),),
        device_rules=("c 1:* r",),
        host=("network",),
        binds=(Bind(source="/srv/maps", target="/m", read_only=True),),
        privileged=True,
        cpuset="0",
        security=("label=disable",),
    )
    assert set(msgspec.structs.asdict(use)) == set(NodeUse.__struct_fields__)
    assert sorted(map(str, list_needs(use))) == [
        "bind: /srv/maps",
        "cpuset: 0",
        "device_cgroup_rules: c 1:* r",
        "devices: /dev/fuse",
        "network_mode: host",
        "privileged",
        "security_opt: label=disable",
    ]


def test_below_a_folder_that_instances_may_write_nothing_else_is_bound():
    others = Profile(tenants=TENANTS, binds=(BindGrant(path="/srv/cams/fixed"),))
    assert find_planted((PROFILE, others), "/srv/cams/fixed") == "/srv/cams"
    assert find_planted((PROFILE, others), "/srv/cams") == ""
    assert find_planted((PROFILE, others), "/srv/maps/x") == ""


def test_only_a_writable_grant_maps_the_owner():
    use = NodeUse(
        binds=(
            Bind(source="/srv/cams", target="/c", read_only=True),
            Bind(source="/srv/maps/x", target="/m", read_only=True),
        )
    )
    cams, maps = map_binds(use, PROFILE).binds
    assert cams.mapped is True
    assert maps.mapped is msgspec.UNSET


def test_a_writable_grant_of_the_same_path_wins():
    profile = Profile(tenants=TENANTS, binds=(BindGrant(path="/srv/cams"), CAMS))
    assert find_bind(profile, "/srv/cams", writes=False) == CAMS


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/var",
        "/var/lib",
        "/var/lib/skerry",
        "/var/lib/skerry/images",
        "/run",
        "/var/run/docker.sock",
        "/run/podman/podman.sock",
        "/etc",
        "relative",
        "",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/",
        "/a:b",
        "/a\nb",
        "/" + "a" * 2000,
    ],
)
def test_some_paths_are_never_bound(path):
    assert find_bind_flaw(path)
    assert find_profile_flaw(Profile(tenants=TENANTS, binds=(BindGrant(path=path),)))
    assert find_use_flaw(NodeUse(binds=(Bind(source=path, target="/x"),)))


@pytest.mark.parametrize(
    "profile",
    [
        Profile(tenants=()),
        Profile(tenants=TENANTS, capabilities=("SYS_TIME",)),
        Profile(tenants=TENANTS, capabilities=("ALL",)),
        Profile(tenants=TENANTS, devices=("/etc/*",)),
        Profile(tenants=TENANTS, devices=("/dev/../etc/*",)),
        Profile(tenants=TENANTS, device_rules=("all",)),
        Profile(tenants=TENANTS, security=("seccomp=./mine",)),
        Profile(tenants=TENANTS, devices=tuple(f"/dev/x{number}" for number in range(GRANTS_MAX + 1))),
    ],
)
def test_a_profile_that_makes_no_sense(profile):
    assert find_profile_flaw(profile)
    assert not find_profile_flaw(PROFILE)


@pytest.mark.parametrize(
    "use",
    [
        NodeUse(devices=(Device(source="/etc/shadow", target="/dev/x"),)),
        NodeUse(devices=(Device(source="/dev/../etc/shadow", target="/dev/x"),)),
        NodeUse(devices=(Device(source="/dev/x", target="x"),)),
        NodeUse(devices=(Device(source="/dev/x", target="/dev/x", access="z"),)),
        NodeUse(devices=(Device(source="/dev/x", target="/dev/x", access=""),)),
        NodeUse(devices=(Device(source="/dev/x*", target="/dev/x"),)),
        NodeUse(binds=(Bind(source="/srv/a", target="a"),)),
        NodeUse(binds=(Bind(source="/srv/a", target="/a", mapped=True),)),
        NodeUse(device_rules=("c 1",)),
        NodeUse(cpuset="all"),
        NodeUse(security=("x",)),
    ],
)
def test_a_use_that_makes_no_sense(use):
    assert find_use_flaw(use)
