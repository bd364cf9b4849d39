import pytest
from tests.manifest.texts import accept, read, refuse, service, wrap

from skerry.model.grants import Bind, BindGrant, Device, NodeUse, Profile
from skerry.model.ids import TenantName

TOP = "x-skerry: {profile: kiosk}"
TENANTS = (TenantName("alpha"),)
ALL = Profile(
    tenants=TENANTS,
    capabilities=("NET_ADMIN",),
    devices=("/dev/net/tun", "/dev/ttyUSB*"),
    device_rules=("c 189:* rwm",),
    host=("network", "pid", "ipc", "uts"),
    binds=(BindGrant(path="/srv/cams", writable=True), BindGrant(path="/sys"), BindGrant(path="/tmp/.X11-unix")),
    privileged=True,
    cpuset=True,
    security=("seccomp=unconfined", "no-new-privileges=false"),
)
NOTHING = Profile(tenants=TENANTS)

#: Fields, what they ask for, and how that is called where it is not granted.
FIELDS = [
    ("devices: [/dev/net/tun]", NodeUse(devices=(Device(source="/dev/net/tun", target="/dev/net/tun"),))),
    (
        "devices: ['/dev/ttyUSB0:/dev/modem:rw']",
        NodeUse(devices=(Device(source="/dev/ttyUSB0", target="/dev/modem", access="rw"),)),
    ),
    (
        "devices: [{source: /dev/ttyUSB1, target: /dev/m, permissions: r}]",
        NodeUse(devices=(Device(source="/dev/ttyUSB1", target="/dev/m", access="r"),)),
    ),
    ("device_cgroup_rules: ['c 189:*  rmw']", NodeUse(device_rules=("c 189:* rwm",))),
    ("network_mode: host", NodeUse(host=("network",))),
    ("pid: host", NodeUse(host=("pid",))),
    ("ipc: host", NodeUse(host=("ipc",))),
    ("uts: host", NodeUse(host=("uts",))),
    ("volumes: ['/srv/cams:/cams']", NodeUse(binds=(Bind(source="/srv/cams", target="/cams"),))),
    ("volumes: ['/sys/class:/c:ro']", NodeUse(binds=(Bind(source="/sys/class", target="/c", read_only=True),))),
    (
        "volumes: ['/tmp/.X11-unix:/x:ro']",
        NodeUse(binds=(Bind(source="/tmp/.X11-unix", target="/x", read_only=True),)),
    ),
    ("privileged: true", NodeUse(privileged=True)),
    ("cpuset: 0-1,3", NodeUse(cpuset="0-1,3")),
    ("security_opt: ['seccomp:unconfined']", NodeUse(security=("seccomp=unconfined",))),
    ("security_opt: ['no-new-privileges:false']", NodeUse(security=("no-new-privileges=false",))),
]


@pytest.mark.parametrize(("fields", "use"), FIELDS)
def test_what_the_profile_grants_is_asked_of_the_node(fields, use):
    web = service(fields, top=TOP, grants={"kiosk": (ALL,)})
    assert web.further.node == use


@pytest.mark.parametrize("fields", [fields for fields, _ in FIELDS])
@pytest.mark.parametrize("profile", ["default", "strict", "kiosk"])
def test_what_it_does_not_grant_is_refused_with_profile_and_grant(fields, profile):
    rejected = read(wrap(fields, f"x-skerry: {{profile: {profile}}}"), grants={"kiosk": (NOTHING,)})
    (problem,) = rejected.problems
    assert problem.code == "E-FIELD-REFUSED"
    assert problem.detail.startswith(f'profile "{profile}" does not grant "')
    assert ("ask the operator" if profile == "kiosk" else "skerry profile list") in problem.hint


def test_it_is_enough_that_one_site_grants_it():
    assert service("pid: host", top=TOP, grants={"kiosk": (NOTHING, ALL)}).further.node.host == ("pid",)


def test_without_a_core_it_is_left_to_the_apply_and_told_in_the_report():
    manifest = accept(wrap("privileged: true\ncap_add: [NET_ADMIN]", TOP))
    told = {note.pointer: note for note in manifest.report}
    assert told["/services/web/privileged"].verdict == "granted"
    assert "at apply" in told["/services/web/privileged"].detail
    assert manifest.profile == "kiosk"
    assert manifest.services["web"].cap_add == ("NET_ADMIN",)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("cap_add: [SYS_MODULE]", "E-FIELD-REFUSED cap_add/0"),
        ("cap_add: [ALL]", "E-FIELD-REFUSED cap_add/0"),
        ("cap_add: [SYS_ADMIN]", "E-FIELD-REFUSED cap_add/0"),
        ("devices: [/dev/ttyACM0]", "E-FIELD-REFUSED devices/0"),
        ("devices: [/dev/ttyUSB/0]", "E-FIELD-REFUSED devices/0"),
        ("devices: [/etc/shadow]", "E-TYPE devices/0"),
        ("devices: ['/dev/../etc/shadow']", "E-TYPE devices/0"),
        ("devices: ['/dev/ttyUSB0:/x:q']", "E-TYPE devices/0"),
        ("devices: ['intel.com/vpu=']", "E-TYPE devices/0"),
        ("devices: ['intel.com/vpu=0']", "E-FIELD-REFUSED devices/0"),
        ("device_cgroup_rules: [all]", "E-TYPE device_cgroup_rules/0"),
        ("cpuset: first", "E-TYPE cpuset"),
        ("userns_mode: host", "E-FIELD-REFUSED userns_mode"),
        ("oom_score_adj: -1", "E-FIELD-REFUSED oom_score_adj"),
        ("cpu_rt_runtime: 1000", "E-FIELD-REFUSED cpu_rt_runtime"),
        ("runtime: runsc", "E-FIELD-REFUSED runtime"),
        ("sysctls: {vm.swappiness: '1'}", "E-FIELD-REFUSED sysctls/vm.swappiness"),
        ("network_mode: host\nsysctls: {net.core.somaxconn: '1'}", "E-CONFLICT sysctls/net.core.somaxconn"),
        ("network_mode: host\nx-skerry: {health: {tcp: 80}}", "E-NOT-YET x-skerry/health"),
        ("volumes: ['/srv/cams/a:/a:ro']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['/sys/class:/c']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['/srv/cams/../../etc:/c']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['/var/run/docker.sock:/s']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['/:/host:ro']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['~/.x:/x']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['C:\\\\x:/x']", "E-FIELD-REFUSED volumes/0"),
    ],
)
def test_what_no_profile_grants(fields, found):
    assert refuse(fields, top=TOP, grants={"kiosk": (ALL,)}) == [found]


def test_in_the_network_of_the_node_ports_are_the_nodes():
    text = wrap("network_mode: host\nports: ['80:80']\nexpose: ['90']", TOP)
    manifest = accept(text, grants={"kiosk": (ALL,)})
    web = manifest.services["web"]
    assert (web.ports, web.networks) == ((), {})
    told = {note.pointer: note.detail for note in manifest.report}
    assert "the node's" in told["/services/web/ports"]


def test_binds_are_lent_with_volumes_from():
    text = """
        services:
          web: {image: nginx, volumes_from: ['cams:ro']}
          cams: {image: nginx, volumes: ['/srv/cams:/cams']}
        x-skerry: {profile: kiosk}
    """
    web = accept(text, grants={"kiosk": (ALL,)}).services["web"]
    assert web.further.node.binds == (Bind(source="/srv/cams", target="/cams", read_only=True),)
