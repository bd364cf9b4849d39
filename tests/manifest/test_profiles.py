import pytest

from skerry.manifest.profiles import GivenProfile, read_profile
from skerry.manifest.values import Rejected
from skerry.model.grants import BindGrant, Profile, find_profile_flaw
from skerry.model.ids import TenantName
from skerry.model.limits import GRANTS_MAX

HEAD = "apiVersion: skerry.dev/v1\nkind: Profile\nmetadata: {name: kiosk}\n"
FULL = """
spec:
  description: what a kiosk needs
  tenants: [alpha, beta]
  sites: ["tier=store", "${WHERE}"]
  capabilities: [net_admin, CAP_SYS_PTRACE]
  devices: [/dev/net/tun, /dev/ttyUSB*]
  device-rules: ["c 189:*  rmw"]
  host: [network, pid]
  binds: [/sys/, {path: /srv/cams, writable: true}]
  privileged: true
  cpuset: true
  security: ["seccomp:unconfined"]
"""


def read(text, **variables):
    return read_profile(text.encode(), "p.yaml", variables)


def refuse(spec, head=HEAD):
    found = read(f"{head}spec: {spec}\n" if spec else head)
    assert isinstance(found, Rejected)
    return [f"{one.code} {one.pointer}" for one in found.problems]


def test_a_whole_profile_is_read_into_what_is_signed():
    found = read(HEAD + FULL, WHERE="site=oslo")
    assert found == GivenProfile(
        name="kiosk",
        sites=("tier=store", "site=oslo"),
        profile=Profile(
            tenants=(TenantName("alpha"), TenantName("beta")),
            description="what a kiosk needs",
            capabilities=("NET_ADMIN", "SYS_PTRACE"),
            devices=("/dev/net/tun", "/dev/ttyUSB*"),
            device_rules=("c 189:* rwm",),
            host=("network", "pid"),
            binds=(BindGrant(path="/sys"), BindGrant(path="/srv/cams", writable=True)),
            privileged=True,
            cpuset=True,
            security=("seccomp=unconfined",),
        ),
    )
    assert find_profile_flaw(found.profile) == ""


def test_without_sites_it_is_for_every_site():
    found = read(HEAD + "spec: {tenants: alpha}\n")
    assert isinstance(found, GivenProfile)
    assert (found.sites, found.profile) == ((), Profile(tenants=(TenantName("alpha"),)))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{}", "E-TYPE /spec"),
        ("{tenants: []}", "E-TYPE /spec"),
        ("{tenants: Not A Name}", "E-TYPE /spec/tenants"),
        ("{tenants: a, hosts: [pid]}", "E-UNKNOWN-WORD /spec/hosts"),
        ("{tenants: a, host: [users]}", "E-TYPE /spec/host/0"),
        ("{tenants: a, sites: 'tier='}", "E-TYPE /spec/sites"),
        ("{tenants: a, capabilities: [SYS_TIME]}", "E-TYPE /spec/capabilities/0"),
        ("{tenants: a, capabilities: [ALL]}", "E-TYPE /spec/capabilities/0"),
        ("{tenants: a, capabilities: [CHOWN]}", "E-CONFLICT /spec/capabilities/0"),
        ("{tenants: a, devices: [/dev/../etc/shadow]}", "E-TYPE /spec/devices/0"),
        ("{tenants: a, device-rules: [all]}", "E-TYPE /spec/device-rules/0"),
        ("{tenants: a, binds: [/var/lib]}", "E-TYPE /spec/binds/0"),
        ("{tenants: a, binds: [{path: /run/podman/podman.sock}]}", "E-TYPE /spec/binds/0/path"),
        ("{tenants: a, binds: [{writable: true}]}", "E-TYPE /spec/binds/0"),
        ("{tenants: a, binds: [../x]}", "E-TYPE /spec/binds/0"),
        ("{tenants: a, privileged: maybe}", "E-TYPE /spec/privileged"),
        ("{tenants: a, security: [label=x]}", "E-TYPE /spec/security/0"),
        (
            "{{tenants: a, devices: [{}]}}".format(", ".join(["/dev/x"] * (GRANTS_MAX + 1))),
            f"E-LIMIT /spec/devices/{GRANTS_MAX}",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(spec, problem):
    assert refuse(spec) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "E-TYPE "),
        ("- a\n", "E-TYPE "),
        ("a: [\n", "E-YAML "),
        (HEAD + "spec: {tenants: a}\n---\n" + HEAD, "E-TYPE "),
        (HEAD, "E-TYPE "),
        (HEAD.replace("kiosk", "default") + "spec: {tenants: a}", "E-CONFLICT /metadata/name"),
        (HEAD.replace("Profile", "Area") + "spec: {tenants: a}", "E-TYPE /kind"),
        (HEAD.replace("v1", "v9") + "spec: {tenants: a}", "E-TYPE /apiVersion"),
        (HEAD.replace("metadata: {name: kiosk}\n", "") + "spec: {tenants: a}", "E-TYPE "),
    ],
)
def test_what_is_no_profile(text, problem):
    found = read(text)
    assert isinstance(found, Rejected)
    assert problem in [f"{one.code} {one.pointer}" for one in found.problems]


def test_everything_is_told_at_once():
    assert len(refuse("{tenants: a, capabilities: [X], devices: [x], binds: [x], security: [x], hots: [pid]}")) == 5
