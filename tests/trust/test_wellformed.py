from typing import Any

import msgspec
import pytest
from tests.trust import people

from skerry.model.app import (
    FolderFile,
    FolderMount,
    Further,
    HealthCheck,
    ImageRef,
    Mount,
    Network,
    NetworkPlan,
    Placement,
    Port,
    Probe,
    Replicas,
    SecretUse,
    Service,
    Sites,
    Subnet,
)
from skerry.model.chain import Chain, ChainEnd
from skerry.model.grants import Bind, Device, NodeUse, Profile
from skerry.model.ids import AppName, NetworkName, NodeName, SecretName, ServiceName, SiteName, VolumeName, digest_of
from skerry.model.limits import PROFILES_MAX
from skerry.model.policy import Autonomy, Policy, Priority, SecretPolicy
from skerry.model.rollout import InSite, Rollout, TimeWindow
from skerry.model.signed import Call, DocumentHead, NodeRecord, PublicKey, RoleKeys, Window
from skerry.model.uplinks import Bandwidth, Uplink
from skerry.model.volume import Volume
from skerry.trust.envelope import encode_payload
from skerry.trust.seal import sealing_public
from skerry.trust.wellformed import TIME_S_MAX, find_flaw

IMAGE = ImageRef(name="web", digest=digest_of(b"m"), config=digest_of(b"c"), size_bytes=1)
HEAD = DocumentHead(site=people.SITE, epoch=1, generation=1, parent="", time_s=1, units=digest_of(b""))
CALL = Call(
    tenant=people.ALPHA,
    site=people.SITE,
    node=people.NODE,
    nonce=b"n",
    verb="exec",
    app=people.SHOP,
    service=people.WEB,
    argv=("ls",),
)
SEALING = sealing_public(people.SEALING_SEED)
NODE_RECORD = NodeRecord(device=people.DEVICE.public, sealing=SEALING)


def change(payload: msgspec.Struct, **words: Any) -> msgspec.Struct:
    return msgspec.structs.replace(payload, **words)


def with_service(**words: Any) -> msgspec.Struct:
    return change(people.make_revision(1), services={people.WEB: Service(image=IMAGE, **words)})


@pytest.mark.parametrize(
    "check",
    [
        HealthCheck(test=()),
        HealthCheck(test=("CMD", "true"), probe=Probe(port=80)),
        HealthCheck(test=(), probe=Probe(port=0)),
        HealthCheck(test=(), probe=Probe(port=70_000)),
        HealthCheck(test=(), probe=Probe(port=80, path="/ HTTP/1.1\r\nX: y")),
    ],
)
def test_a_health_check_that_is_none_is_a_flaw(check):
    assert find_flaw(with_service(healthcheck=HealthCheck(test=(), probe=Probe(port=80, path="/x")))) == ""
    assert "probe" in find_flaw(with_service(healthcheck=check))


@pytest.mark.parametrize(
    "policy",
    [
        SecretPolicy(max_offline_us=-1),
        SecretPolicy(on_rotate="signal:"),
        SecretPolicy(on_rotate="reboot"),
        SecretPolicy(env="A=B"),
        SecretPolicy(env="A", on_rotate="none"),
        SecretPolicy(sites=("a =",)),
    ],
)
def test_a_wish_about_a_secret_that_makes_no_sense_is_a_flaw(policy):
    def secrets(policy):
        return change(people.make_revision(1), secrets={"key": SecretUse(name=SecretName("key"), policy=policy)})

    assert find_flaw(secrets(SecretPolicy(env="A", max_offline_us=1, sites=("a=b",)))) == ""
    assert find_flaw(secrets(policy)) != ""


@pytest.mark.parametrize(
    "window",
    [
        TimeWindow(0, 0),
        TimeWindow(-1, 5),
        TimeWindow(1440, 5),
        TimeWindow(0, 1441),
        TimeWindow(0, 5, (7,)),
        TimeWindow(0, 5, (-1,)),
    ],
)
def test_a_window_at_no_time_is_a_flaw(window):
    def rollout(window):
        return change(people.make_revision(1), rollout=Rollout(windows=(window,)))

    assert find_flaw(rollout(TimeWindow(120, 1440, (0, 6)))) == ""
    assert "window" in find_flaw(rollout(window))


def test_a_change_of_no_copies_at_once_is_a_flaw():
    assert find_flaw(change(people.make_revision(1), rollout=Rollout(in_site=InSite()))) == ""
    assert "never ends" in find_flaw(change(people.make_revision(1), rollout=Rollout(in_site=InSite(parallel=0))))


@pytest.mark.parametrize("field", ["in_site", "in_site_back"])
@pytest.mark.parametrize(
    ("order", "flaw"),
    [
        (InSite(order="start-first", parallel=3, settle_us=5, failed_permille=1000), ""),
        (InSite(parallel=0), "never ends"),
        (InSite(settle_us=-1), "is watched"),
        (InSite(failed_permille=1001), "may fail"),
    ],
)
def test_a_service_changes_its_copies_in_an_order_that_can_be(field, order, flaw):
    revision = people.make_revision(1)
    services = {name: change(service, **{field: order}) for name, service in revision.services.items()}
    found = find_flaw(change(revision, services=services))
    assert flaw in found if flaw else found == ""


def test_sound_payloads_have_no_flaw():
    for payload in (
        people.make_root(),
        people.make_record(),
        people.make_revision(1),
        people.make_tombstone(1),
        people.make_secret(1),
        HEAD,
        CALL,
        change(CALL, verb="stop", argv=(), by="ada", reason="it smokes"),
        change(CALL, verb="test-chain", argv=(), chain="out"),
        change(CALL, verb="restore", argv=(), service="", volume="data", snapshot="noon", by="ada", reason="it smokes"),
    ):
        assert find_flaw(payload) == ""


FLAWS = {
    "app name with a path": change(people.make_revision(1), app=AppName("../etc")),
    "app name in capitals": change(people.make_revision(1), app=AppName("Shop")),
    "number 0": people.make_revision(0),
    "negative number": people.make_revision(-1),
    "source that is no digest": change(people.make_revision(1), source="sha256:00"),
    "no service": change(people.make_revision(1), services={}),
    "too many services": change(
        people.make_revision(1), services={ServiceName(f"s{n}"): Service(image=IMAGE) for n in range(101)}
    ),
    "service name with a slash": change(people.make_revision(1), services={ServiceName("a/b"): Service(image=IMAGE)}),
    "volume name with dots": change(people.make_revision(1), volumes={VolumeName(".."): {}}),
    "image by tag": change(
        people.make_revision(1), services={people.WEB: Service(image=change(IMAGE, digest="web:latest"))}
    ),
    "selector that is none": with_service(placement=Placement(sites=Sites(match=("a b",)))),
    "node selector that is none": with_service(placement=Placement(node=("=",))),
    "too many replicas": with_service(placement=Placement(replicas=Replicas(total=1001))),
    "tombstone with negative grace": change(people.make_tombstone(1), grace_us=-1),
    "tombstone of a bad volume": change(people.make_tombstone(1), volumes=(VolumeName("a/b"),)),
    "tombstone with a bad selector": people.make_tombstone(1, sites=Sites(match=(",",))),
    "secret with a bad name": change(people.make_secret(1), name=SecretName("")),
    "call without a command": change(CALL, argv=()),
    "call for a bad node": change(CALL, node=NodeName("a.b")),
    "call beyond all ordinals": change(CALL, ordinal=1000),
    "command at a port": change(CALL, port=80),
    "command in a terminal without columns": change(CALL, terminal=Window(columns=0, rows=24)),
    "command in a terminal of any size": change(CALL, terminal=Window(columns=80, rows=5_000)),
    "connection without a port": change(CALL, verb="forward", argv=()),
    "stop with a command": change(CALL, verb="stop"),
    "stop at a port": change(CALL, verb="stop", argv=(), port=80),
    "stop for an endless reason": change(CALL, verb="stop", argv=(), reason="x" * 201),
    "stop with a reason that moves the cursor": change(CALL, verb="stop", argv=(), reason="\x1b[2J"),
    "stop by a name of two lines": change(CALL, verb="stop", argv=(), by="ada\nroot"),
    "command with a reason": change(CALL, reason="because"),
    "test of no chain": change(CALL, verb="test-chain", argv=()),
    "test of a chain with a command": change(CALL, verb="test-chain", chain="out"),
    "command about a chain": change(CALL, chain="out"),
    "command about a volume": change(CALL, volume="data"),
    "command in no service": change(CALL, service=""),
    "snapshot of a service": change(CALL, verb="snapshot", argv=(), volume="data", snapshot="noon"),
    "snapshot with a command": change(CALL, verb="snapshot", service="", volume="data", snapshot="noon"),
    "snapshot of a path": change(CALL, verb="snapshot", argv=(), service="", volume="../data", snapshot="noon"),
    "restore of no snapshot": change(CALL, verb="restore", argv=(), service="", volume="data"),
    "snapshot for a reason": change(
        CALL, verb="snapshot", argv=(), service="", volume="data", snapshot="noon", reason="because"
    ),
    "volume too small": change(people.make_revision(1), volumes={people.DATA: Volume(size_bytes=1)}),
    "connection to a port that is none": change(CALL, verb="forward", argv=(), port=65_536),
    "connection with a command": change(CALL, verb="forward", port=80),
    "connection with a terminal": change(CALL, verb="forward", argv=(), port=80, terminal=Window(columns=80, rows=24)),
    "site name with a blank": people.make_record(site=SiteName("a b")),
    "two nodes with one device key": people.make_record(
        nodes={NodeName("one"): NODE_RECORD, NodeName("two"): NODE_RECORD}
    ),
    "device key that seals": people.make_record(nodes={people.NODE: change(NODE_RECORD, device=SEALING)}),
    "sealing key that signs": people.make_record(nodes={people.NODE: change(NODE_RECORD, sealing=people.ROOT.public)}),
    "short key": people.make_record(tenants={people.ALPHA: RoleKeys(keys=(PublicKey(type="ed25519", key=b"k"),))}),
    "role without keys": people.make_record(tenants={people.ALPHA: RoleKeys(keys=())}),
    "role with one key twice": people.make_record(tenants={people.ALPHA: people.role(people.ROOT, people.ROOT)}),
    "threshold 0": people.make_record(tenants={people.ALPHA: people.role(people.ROOT, threshold=0)}),
    "threshold beyond the keys": people.make_record(tenants={people.ALPHA: people.role(people.ROOT, threshold=2)}),
    "role that seals": people.make_record(tenants={people.ALPHA: RoleKeys(keys=(SEALING,))}),
    "root with a bad role": change(people.make_root(), delivery=RoleKeys(keys=())),
    "epoch 0": change(HEAD, epoch=0),
    "generation 0": change(HEAD, generation=0),
    "parent that is no digest": change(HEAD, parent="x"),
    "units that are no digest": change(HEAD, units="x"),
    "time before 1970": change(HEAD, time_s=-1),
    "time after 9999": change(HEAD, time_s=TIME_S_MAX + 1),
    "a struct of no kind": Sites(),
}


@pytest.mark.parametrize("name", FLAWS)
def test_flaws_are_found(name: str):
    assert find_flaw(FLAWS[name]) != ""


#: What no client of ours would sign, and a hostile tenant's own might.
WALLS = {
    "capability": {"cap_add": ("SYS_ADMIN",)},
    "sysctl": {"sysctls": {"kernel.panic": "1"}},
    "mount option": {"mounts": (Mount(kind="tmpfs", target="/t", options=("dev",)),)},
    "option of a volume": {"mounts": (Mount(kind="volume", source="v", target="/v", options=("U",)),)},
    "range of ports": {"ports": (Port(target=80, among=(90, 80)),)},
    "port chosen twice": {"ports": (Port(target=80, published=80, among=(80, 90)),)},
    "oom score": {"further": Further(oom_score=-1000)},
    "way out of a folder": {
        "further": Further(folders=(FolderMount(target="/c", files={"../x": FolderFile(source="c")}),))
    },
}


@pytest.mark.parametrize(
    "policy",
    [
        Policy(priority=Priority(value=1001)),
        Policy(priority=Priority(value=-1)),
        Policy(max_down=-1),
        Policy(max_down_permille=1001),
        Policy(autonomy=Autonomy(max_offline_us=-1)),
        Policy(autonomy=Autonomy(replace_after_us=-1)),
    ],
)
def test_wishes_out_of_their_range_are_flaws(policy: Policy):
    assert find_flaw(with_service(policy=policy))
    assert not find_flaw(with_service(policy=Policy(priority=Priority(value=1000))))


@pytest.mark.parametrize("name", WALLS)
def test_a_site_holds_the_walls_itself(name: str):
    assert find_flaw(with_service(**WALLS[name]))


def test_what_the_profile_grants_is_no_flaw():
    words = {
        "cap_add": ("CHOWN",),
        "sysctls": {"net.core.somaxconn": "1"},
        "mounts": (Mount(kind="tmpfs", target="/t", options=("exec", "mode=1750")),),
        "ports": (Port(target=80, among=(8000, 8009)),),
        "further": Further(oom_score=500),
    }
    assert find_flaw(with_service(**words)) == ""
    assert find_flaw(change(with_service(read_only=True, cap_drop=("ALL",)), profile="strict")) == ""


def test_a_profile_means_what_it_says():
    assert find_flaw(change(people.make_revision(1), profile="Root!"))
    assert find_flaw(change(people.make_revision(1), profile="roots")) == ""
    assert find_flaw(change(with_service(read_only=True), profile="strict"))
    assert find_flaw(change(with_service(read_only=True, cap_drop=("ALL",), cap_add=("CHOWN",)), profile="strict"))


TUN = NodeUse(devices=(Device(source="/dev/net/tun", target="/dev/net/tun"),))
GRANTS = Profile(tenants=(people.ALPHA,), devices=("/dev/net/tun",))


@pytest.mark.parametrize("profile", ["default", "strict"])
@pytest.mark.parametrize("words", [{"cap_add": ("NET_ADMIN",)}, {"further": Further(node=TUN)}])
def test_a_built_in_profile_grants_nothing_of_the_node(profile: str, words: dict[str, object]):
    assert find_flaw(change(with_service(read_only=True, cap_drop=("ALL",), **words), profile=profile))
    assert find_flaw(change(with_service(**words), profile="vpn")) == ""


@pytest.mark.parametrize(
    "words",
    [
        {"cap_add": ("SYS_TIME",)},
        {"cap_add": ("ALL",)},
        {"further": Further(oom_score=-1)},
        {"further": Further(node=NodeUse(devices=(Device(source="/etc/shadow", target="/x"),)))},
        {"further": Further(node=NodeUse(binds=(Bind(source="/", target="/x"),)))},
        {"further": Further(node=NodeUse(binds=(Bind(source="/srv", target="/x", mapped=True),)))},
        {"further": Further(node=NodeUse(host=("network",))), "networks": {NetworkName("lan"): ()}},
        {"further": Further(node=NodeUse(host=("network",))), "sysctls": {"net.core.somaxconn": "1"}},
        {"further": Further(node=NodeUse(host=("network",))), "ports": (Port(target=80, published=80),)},
    ],
)
def test_no_profile_of_an_operator_grants_this(words: dict[str, object]):
    assert find_flaw(change(with_service(**words), profile="vpn"))


@pytest.mark.parametrize(
    "profiles",
    [
        {"default": GRANTS},
        {"Vpn!": GRANTS},
        {"vpn": change(GRANTS, tenants=())},
        {"vpn": change(GRANTS, tenants=("No Name",))},
        {"vpn": change(GRANTS, capabilities=("SYS_MODULE",))},
        {f"vpn{number}": GRANTS for number in range(PROFILES_MAX + 1)},
    ],
)
def test_a_record_with_profiles_that_make_no_sense(profiles: dict[str, Profile]):
    assert find_flaw(people.make_record(profiles=profiles))
    assert find_flaw(people.make_record(profiles={"vpn": GRANTS})) == ""


def test_a_record_without_profiles_is_written_as_it_always_was():
    assert b"profiles" not in encode_payload(people.make_record())


@pytest.mark.parametrize(
    "subnet",
    [
        Subnet(subnet="8.8.8.0/24"),
        Subnet(subnet="0.0.0.0/0"),
        Subnet(subnet="lan"),
        Subnet(subnet="10.0.0.0/24", gateway="10.0.1.1"),
        Subnet(subnet="10.0.0.0/24", first="x", last="10.0.0.9"),
    ],
)
def test_no_network_takes_addresses_of_others(subnet: Subnet):
    network = Network(plan=NetworkPlan(subnets=(subnet,)))
    assert find_flaw(change(people.make_revision(1), networks={NetworkName("lan"): network}))


@pytest.mark.parametrize(
    "uplinks",
    [
        {"No Name": Uplink(device="eth0")},
        {"fibre": Uplink(device="")},
        {"fibre": Uplink(device="eth0"), "spare": Uplink(device="eth0")},
        {"fibre": Uplink(device="eth0", up_bps=1)},
    ],
)
def test_a_record_with_uplinks_that_make_no_sense(uplinks: dict[str, Uplink]):
    assert find_flaw(people.make_record(uplinks=uplinks))
    assert find_flaw(people.make_record(uplinks={"fibre": Uplink(device="eth0")})) == ""


def test_what_says_nothing_of_uplinks_is_written_as_it_always_was():
    assert b"uplinks" not in encode_payload(people.make_record())
    assert b"bandwidth" not in encode_payload(with_service())


@pytest.mark.parametrize("bandwidth", [Bandwidth(), Bandwidth(up_bps=1), Bandwidth(down_bps=10**13)])
def test_a_service_asks_for_a_rate_that_lines_have(bandwidth: Bandwidth):
    assert "bandwidth" in find_flaw(with_service(bandwidth=bandwidth))
    assert find_flaw(with_service(bandwidth=Bandwidth(up_bps=10**6))) == ""


def test_a_site_takes_no_chain_that_makes_no_sense():
    app = people.make_revision(1)
    step = next(iter(app.services))
    inside, uplink = ChainEnd(kind="network", name="default"), ChainEnd(kind="uplink")
    joined = change(app.services[step], networks={"default": ()})
    app = change(app, services={step: joined}, networks={"default": Network()})
    fine = Chain(name="out", start=inside, through=(step,), end=uplink)
    assert find_flaw(change(app, chains=(fine,))) == ""
    assert "loop" in find_flaw(change(app, chains=(change(fine, through=(step, step)),)))
    assert "no service" in find_flaw(change(app, chains=(change(fine, through=("nobody",)),)))
    assert "starts" in find_flaw(change(app, chains=(change(fine, end=inside),)))
    assert "called" in find_flaw(change(app, chains=(fine, fine)))
    led = change(fine, start=ChainEnd(kind="interface", name="lan1"))
    assert "grants no device" in find_flaw(change(app, chains=(led,)))
    assert find_flaw(change(app, profile="edge", chains=(led,))) == ""
    for name in ('lan1" accept', "sk0123456789ab", "lan1/5"):
        assert find_flaw(change(app, profile="edge", chains=(change(led, start=change(led.start, name=name)),)))
    users = ChainEnd(kind="users")
    assert "users come in" in find_flaw(change(app, chains=(change(fine, start=users),)))
    assert "users begin" in find_flaw(change(app, chains=(change(fine, end=users),)))
