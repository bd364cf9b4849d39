"""What every container runtime of ours does alike: run against the fake machine and against podman in a lab.

Each check is a coroutine over a ``Rig``; it acts only through the drivers' two methods and looks only at observations.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec

from skerry.agent.perform import Performer
from skerry.drivers.base import Chunk, Console, Exit, PortRefused, Typed
from skerry.model.app import (
    FileMount,
    Further,
    HealthCheck,
    ImageRef,
    Mount,
    NetworkPlan,
    Port,
    Probe,
    Resources,
    Subnet,
)
from skerry.model.grants import Device, NodeUse
from skerry.model.ids import AppName, NetworkName, SecretName, ServiceName, TenantName, VolumeName, digest_of, volume_id
from skerry.model.instance import InstanceSpec, SecretFile, spec_digest
from skerry.model.lan import Lan
from skerry.model.observed import ContainerSeen, NetworkSeen, Observation
from skerry.model.signed import Window
from skerry.plan.actions import (
    Action,
    ApplyRules,
    ApplyTranslation,
    AppRules,
    CheckHealth,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DeleteVolume,
    FetchImage,
    Link,
    LoadImage,
    Outcome,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RenewSecrets,
    StartContainer,
    StopContainer,
)
from skerry.plan.addresses import Lease, choose_ranges
from skerry.plan.history import History
from skerry.plan.links import make_links, plan_translation
from skerry.plan.networks import rules_digest
from skerry.plan.site_plan import Now, PlanDraft

UID = 400_000


class Rig(Protocol):
    performer: Performer
    console: Console
    image: ImageRef
    wait: Callable[[float], Any]


def make_spec(rig: Rig, **words: object) -> InstanceSpec:
    base = InstanceSpec(
        tenant=TenantName("alpha"),
        app=AppName("shop"),
        service=ServiceName("web"),
        ordinal=0,
        image=rig.image.digest,
        image_config=rig.image.config,
        image_size_bytes=rig.image.size_bytes,
        networks={NetworkName("default"): ()},
        environment={"GREETING": "hello"},
        mounts=(Mount(kind="volume", source="data", target="/data"),),
        limits=Resources(memory_bytes=64 << 20, pids=50),
        # A web server of busybox as the first process hears no signal, and a removal waits for that.
        stop_grace_us=1_000_000,
    )
    return msgspec.structs.replace(base, **words)


#: What networks were made of last, by their names.
PLANS: dict[str, NetworkPlan] = {}


async def do(rig: Rig, action: Action) -> Outcome:
    return await rig.performer.perform(await complete(rig, action))


async def complete(rig: Rig, action: Action) -> Action:
    """Choose ranges and links as the planner does, where Skerry makes them."""
    observed = await rig.performer.observe()
    if observed.translation is None:
        return action
    match action:
        case CreateNetwork():
            PLANS[action.name] = action.plan
            key = (action.tenant, action.app, action.name)
            taken = [each.subnet for network in observed.networks for each in network.ranges]
            present = next((each for each in observed.networks if (each.tenant, each.app, each.name) == key), None)
            if action.plan.lan:
                return action
            ranges = present.ranges if present else choose_ranges(*key, action.plan, taken)
            return msgspec.structs.replace(action, ranges=ranges)
        case StartContainer():
            spec = action.spec
            networks = {
                each.name: each for each in observed.networks if (each.tenant, each.app) == (spec.tenant, spec.app)
            }
            lans = {NetworkName(name): plan.lan for name, plan in PLANS.items() if plan.lan}
            networks |= {
                name: NetworkSeen(tenant=spec.tenant, app=spec.app, name=name) for name in spec.networks if name in lans
            }
            taken = {address for seen in observed.containers for each in seen.addresses.values() for address in each}
            plans = {name: PLANS.get(name, NetworkPlan()) for name in networks}
            leases = {
                name: Lease(plans[name].subnets if name in lans else each.ranges, plans[name], taken)
                for name, each in networks.items()
            }
            mtus = {NetworkName(name): plan.mtu for name, plan in PLANS.items()}
            links = make_links(spec, networks, leases, mtus)
            links = tuple(msgspec.structs.replace(each, lan=lans.get(each.network)) for each in links)
            return msgspec.structs.replace(action, links=links)
        case _:
            return action


async def done(rig: Rig, action: Action) -> None:
    outcome = await do(rig, action)
    assert outcome.ok, outcome


async def see(rig: Rig) -> Observation:
    seen = await rig.performer.observe()
    assert seen.unavailable == "", seen.unavailable
    return seen


async def find(rig: Rig, spec: InstanceSpec) -> ContainerSeen | None:
    digest = spec_digest(spec)
    return next((item for item in (await see(rig)).containers if item.spec == digest), None)


async def wait_state(rig: Rig, spec: InstanceSpec, *states: str) -> ContainerSeen:
    for _ in range(100):
        seen = await find(rig, spec)
        if seen is not None and seen.state in states:
            return seen
        await rig.wait(0.1)
    raise AssertionError(f"{spec.id} never was {states}: {seen}")


def create(spec: InstanceSpec) -> CreateContainer:
    return CreateContainer(spec=spec, spec_digest=spec_digest(spec), uid_start=UID)


def start(spec: InstanceSpec, seen: ContainerSeen) -> StartContainer:
    return StartContainer(container=seen.container, spec=spec, spec_digest=seen.spec, uid_start=UID)


def stop(seen: ContainerSeen) -> StopContainer:
    return StopContainer(container=seen.container, instance=seen.instance, grace_us=1_000_000)


def remove(seen: ContainerSeen) -> RemoveContainer:
    return RemoveContainer(container=seen.container, instance=seen.instance)


def volume(name: str = "data", born: int = 1) -> dict[str, Any]:
    tenant, app = TenantName("alpha"), AppName("shop")
    return {"volume": volume_id(tenant, app, name), "tenant": tenant, "app": app, "name": VolumeName(name)}


NETWORK = {"tenant": TenantName("alpha"), "app": AppName("shop"), "name": NetworkName("default")}


async def prepare(rig: Rig) -> None:
    image = rig.image
    await done(rig, FetchImage(image=image.digest, config=image.config, size_bytes=image.size_bytes))
    await done(rig, LoadImage(image=image.digest, config=image.config))
    await done(rig, CreateNetwork(**NETWORK, internal=False))
    await done(rig, CreateVolume(**volume(), uid_start=UID, born=1))


async def collect(stream: AsyncIterator[Chunk | Exit]) -> tuple[bytes, int | None]:
    output, code = b"", None
    async for item in stream:
        match item:
            case Chunk():
                output += item.data
            case Exit():
                code = item.code
    return output, code


async def give(*pieces: bytes, forever: bool = False) -> AsyncIterator[bytes]:
    """What is typed; with ``forever`` somebody keeps the keyboard and says nothing more."""
    for piece in pieces:
        yield piece
    if forever:
        await asyncio.Event().wait()


# --- the checks ------------------------------------------------------------------------------------------------------


async def check_a_fetched_and_loaded_image_is_listed_by_both_digests(rig: Rig) -> None:
    await prepare(rig)
    listed = {(item.digest, item.config) for item in (await see(rig)).images}
    assert (rig.image.digest, rig.image.config) in listed


async def check_an_instance_lives_from_created_to_gone(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig)
    await done(rig, create(spec))
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    assert (seen.state, seen.instance, seen.image_config) == ("created", spec.id, rig.image.config)
    assert seen.volumes == ("data",)
    assert len((await see(rig)).containers) == 1
    assert seen.began_us == 0
    await rig.wait(0.1)
    await done(rig, start(spec, seen))
    first = seen = await wait_state(rig, spec, "running")
    await done(rig, start(spec, seen))
    await done(rig, stop(seen))
    seen = await wait_state(rig, spec, "exited")
    assert seen.began_us == 0
    await done(rig, stop(seen))
    await rig.wait(0.1)
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    # By the machine's own clock, which neither of the two ends of a link can move.
    assert 0 < first.began_us < seen.began_us < first.began_us + 600_000_000
    await done(rig, remove(seen))
    await done(rig, remove(seen))
    assert await find(rig, spec) is None
    assert [item.volume for item in (await see(rig)).volumes] == ["alpha/shop/data"]


async def check_the_addresses_of_what_runs_are_seen(rig: Rig) -> None:
    """Of each family that its network has, and of no instance that does not run."""
    await prepare(rig)
    lan = NETWORK | {"name": NetworkName("lan")}
    v6 = Subnet(subnet="fd12:3456:789a:1::/64")
    await done(rig, CreateNetwork(**lan, internal=False, plan=NetworkPlan(subnets=(v6,), ipv6=True)))
    networks = {item.name: item for item in (await see(rig)).networks}
    assert [each.gateway for each in networks["lan"].ranges if ":" in each.subnet] == ["fd12:3456:789a:1::1"]
    spec = make_spec(rig, networks={NetworkName("default"): (), NetworkName("lan"): ()})
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    assert seen.addresses == {}
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    assert sorted(seen.addresses) == ["default", "lan"]
    for name, addresses in seen.addresses.items():
        ranges = [ipaddress.ip_network(each.subnet) for each in networks[name].ranges]
        for address in addresses:
            assert any(ipaddress.ip_address(address) in each for each in ranges), (addresses, ranges)
    assert [":" in each for each in seen.addresses["lan"]] == [False, True]
    await done(rig, stop(seen))
    seen = await wait_state(rig, spec, "exited")
    assert seen.addresses == {}
    await done(rig, remove(seen))
    await done(rig, RemoveNetwork(**lan))


async def check_two_specifications_of_one_instance_stand_side_by_side(rig: Rig) -> None:
    await prepare(rig)
    one, two = make_spec(rig), make_spec(rig, restart_counter=1)
    await done(rig, create(one))
    await done(rig, create(two))
    assert len((await see(rig)).containers) == 2


async def check_a_taken_port_is_named(rig: Rig) -> None:
    await prepare(rig)
    ports = (Port(target=8080, published=18080),)
    one = make_spec(rig, ports=ports)
    two = make_spec(rig, ports=ports, ordinal=1, mounts=())
    for spec in (one, two):
        await done(rig, create(spec))
    seen_one, seen_two = await find(rig, one), await find(rig, two)
    assert seen_one is not None
    assert seen_two is not None
    await done(rig, start(one, seen_one))
    outcome = await do(rig, start(two, seen_two))
    assert outcome.code == "E-PORT-IN-USE", outcome
    await done(rig, remove(seen_two))
    await done(rig, remove(await wait_state(rig, one, "running")))


async def check_a_device_that_is_not_there_is_named(rig: Rig) -> None:
    await prepare(rig)
    use = NodeUse(devices=(Device(source="/dev/nosuch", target="/dev/x"),))
    spec = make_spec(rig, further=Further(node=use))
    outcome = await do(rig, create(spec))
    assert (outcome.ok, outcome.code, outcome.reason) == (False, "E-DEVICE", "/dev/nosuch is not there")


async def check_health_is_what_the_command_says(rig: Rig) -> None:
    await prepare(rig)
    check = HealthCheck(test=("CMD", "/bin/sh", "-c", "exit 0"), timeout_us=5_000_000)
    spec = make_spec(rig, healthcheck=check)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    outcome = await do(rig, CheckHealth(container=seen.container, instance=seen.instance, check=check))
    assert outcome.healthy is True, outcome
    await done(rig, remove(seen))


async def check_a_failing_health_command_is_told_with_its_output(rig: Rig) -> None:
    await prepare(rig)
    check = HealthCheck(test=("CMD-SHELL", "echo out of order; exit 3"), timeout_us=5_000_000)
    spec = make_spec(rig, healthcheck=check)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    outcome = await do(rig, CheckHealth(container=seen.container, instance=seen.instance, check=check))
    assert (outcome.ok, outcome.healthy) == (True, False), outcome
    assert "out of order" in outcome.reason, outcome


async def check_a_probe_asks_the_instance_at_its_own_address(rig: Rig) -> None:
    await prepare(rig)
    probes = {
        Probe(port=8080): "",
        Probe(port=8080, path="/"): "",
        Probe(port=8080, path="/missing"): "404",
        Probe(port=8081): "8081",
        Probe(port=8081, path="/"): "8081",
    }
    spec = make_spec(rig, healthcheck=HealthCheck(test=(), probe=Probe(port=8080)))
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    await rig.wait(0.5)
    for probe, flaw in probes.items():
        check = HealthCheck(test=(), probe=probe, timeout_us=5_000_000)
        outcome = await do(rig, CheckHealth(container=seen.container, instance=seen.instance, check=check))
        assert (outcome.ok, outcome.healthy) == (True, not flaw), outcome
        assert flaw in outcome.reason, outcome
    await done(rig, remove(seen))


async def check_a_running_instance_is_told_of_a_new_version_of_its_secret(rig: Rig) -> None:
    await prepare(rig)
    old, new = digest_of(b"old"), digest_of(b"new")
    mount = FileMount(source="key", target="/run/secrets/key")
    secret = SecretFile(mount, SecretName("till-key"), old, rotate="signal:WINCH")
    spec = make_spec(rig, secrets=(secret,))
    later = make_spec(rig, secrets=(msgspec.structs.replace(secret, version=new),))
    await done(rig, create(spec))
    seen = await find(rig, later)
    assert seen is not None, "a new version makes no other specification"
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    assert seen.secrets == {"till-key": old}
    renew = RenewSecrets(
        container=seen.container, spec=later, spec_digest=seen.spec, uid_start=UID, names=("till-key",), signal="WINCH"
    )
    await done(rig, renew)
    seen = await wait_state(rig, spec, "running")
    assert seen.secrets == {"till-key": new}
    # The laboratory's secrets say their version; a fake machine repeats the command.
    command = ("/bin/sh", "-c", f"cat /run/secrets/key; echo {new}")
    output, _ = await collect(rig.console.run_command(seen.container, command, give()))
    assert str(old).encode() not in output, output
    assert str(new).encode() in output, output
    await done(rig, remove(seen))


async def check_streams_give_output_and_exit(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    output, code = await collect(rig.console.run_command(seen.container, ("/bin/sh", "-c", "echo one two"), give()))
    assert b"one two" in output, output
    assert code == 0
    await collect(rig.console.read_logs(seen.container, tail=10, follow=False))
    stats = await rig.console.read_stats()
    assert [item.container for item in stats] == [seen.container]


async def check_input_reaches_a_command_and_its_end_closes_it(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    pieces = [bytes([65 + number]) * 30_000 for number in range(20)]
    output, code = await collect(rig.console.run_command(seen.container, ("/bin/sh", "-c", "cat"), give(*pieces)))
    assert output.endswith(b"".join(pieces)), len(output)
    assert code == 0
    # Whoever never reads its input ends all the same, and what nobody read holds nothing up.
    for typed in ([b"unread"], [b"unread", *pieces]):
        command = ("/bin/sh", "-c", "echo done")
        output, code = await collect(rig.console.run_command(seen.container, command, give(*typed, forever=True)))
        assert code == 0
        assert len(typed) > 1 or b"done" in output, output


async def check_a_terminal_has_a_size_that_follows_and_ctrl_c_reaches_it(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    command = ("/bin/sh", "-c", "while :; do until stty size 2>/dev/null; do :; done; read line; done")

    output, old, new = bytearray(), b"30 100\r\n", b"50 132\r\n"

    async def wait_told(times: int) -> None:
        while output.count(old) + output.count(new) < times:
            await rig.wait(0.02)

    async def type_when_told() -> AsyncIterator[Typed]:
        # Ctrl-C throws away what was typed before it and was not read yet.
        await wait_told(1)
        yield b"x\n"
        await wait_told(2)
        yield Window(columns=132, rows=50)
        # What is typed goes another way than the size, and may come first.
        for times in range(3, 103):
            yield b"y\n"
            await wait_told(times)
            if new in output:
                break
        yield b"\x03"
        await asyncio.Event().wait()

    size, code = Window(columns=100, rows=30), None
    async with asyncio.timeout(60):  # only ends what hangs
        async for item in rig.console.run_command(seen.container, command, type_when_told(), size):
            match item:
                case Chunk():
                    output += item.data
                case Exit():
                    code = item.code
    assert output.startswith(old + b"x\r\n" + old), output
    assert output.count(new) == 1, output
    assert code == 130


async def check_a_port_of_the_containers_own_is_reached_and_no_other(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig)
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    pipe = await rig.console.open_port(seen.container, 8080)
    await pipe.write(b"GET / HTTP/1.0\r\n\r\n")
    pipe.end()
    page = b"".join([data async for data in pipe.read()])
    await pipe.close()
    assert page.startswith(b"HTTP/1."), page
    assert page.endswith(b"hello\n"), page
    for port in (8081, 1):
        try:
            await rig.console.open_port(seen.container, port)
        except PortRefused:
            continue
        raise AssertionError(f"port {port} was opened")


async def check_rules_are_seen_as_applied(rig: Rig) -> None:
    await prepare(rig)
    rules = (AppRules(NETWORK["tenant"], NETWORK["app"], NETWORK["name"], False),)
    await done(rig, ApplyRules(networks=rules, digest=rules_digest(rules)))
    assert (await see(rig)).rules == rules_digest(rules)
    await done(rig, ApplyRules(networks=(), digest=rules_digest(())))
    assert (await see(rig)).rules == rules_digest(())


async def check_ports_and_links_are_ours_where_the_runtime_makes_none(rig: Rig) -> None:
    """Translation is seen as applied, ports are seen where they lead, and no two instances have one address."""
    await prepare(rig)
    if (await see(rig)).translation is None:
        return
    port = Port(target=8080, published=18080)
    specs = [make_spec(rig, ports=(port,)), make_spec(rig, ordinal=1, mounts=())]
    links: list[tuple[Link, ...]] = []
    for spec in specs:
        await done(rig, create(spec))
        seen = await find(rig, spec)
        assert seen is not None
        action = await complete(rig, start(spec, seen))
        assert isinstance(action, StartContainer)
        links.append(action.links)
        if spec is specs[1]:
            stolen = msgspec.structs.replace(action, links=links[0])
            outcome = await rig.performer.perform(stolen)
            assert outcome.code == "E-ADDRESS-IN-USE", outcome
        outcome = await rig.performer.perform(action)
        assert outcome.ok, outcome
    first = await wait_state(rig, specs[0], "running")
    assert first.addresses == {"default": tuple(each.partition("/")[0] for each in links[0][0].addresses)}
    assert first.ports == (port,)
    observed = await see(rig)
    draft = PlanDraft(History(boot="b"), Now(0, 0))
    plan_translation(draft, observed)
    for action in draft.actions:
        await done(rig, action)
    assert isinstance(draft.actions[0], ApplyTranslation)
    assert (await see(rig)).translation == draft.actions[0].digest
    assert [(each.published, each.address) for each in draft.actions[0].ports] == [
        (18080, first.addresses[NetworkName("default")][0])
    ]
    for spec in specs:
        await done(rig, remove(await wait_state(rig, spec, "running")))


async def check_things_go_when_told_and_telling_twice_is_fine(rig: Rig) -> None:
    await prepare(rig)
    image = rig.image
    for _ in range(2):
        await done(rig, RemoveNetwork(**NETWORK))
        await done(rig, DeleteVolume(**volume(), tombstone=image.digest))
        await done(rig, RemoveImage(image=image.digest, config=image.config))
    seen = await see(rig)
    assert (seen.networks, seen.volumes, seen.images, seen.blobs) == ((), (), (), ())


async def check_an_instance_without_its_image_is_refused(rig: Rig) -> None:
    outcome = await do(rig, create(make_spec(rig, mounts=(), networks={})))
    assert not outcome.ok
    assert outcome.code == "E-RUNTIME", outcome


async def tidy(rig: Rig) -> None:
    """Leave nothing of a check behind."""
    for seen in (await see(rig)).containers:
        await done(rig, remove(seen))
    await done(rig, RemoveNetwork(**NETWORK))
    await done(rig, DeleteVolume(**volume(), tombstone=rig.image.digest))
    await done(rig, RemoveImage(image=rig.image.digest, config=rig.image.config))
    await asyncio.sleep(0)


async def check_no_network_is_at_a_device_that_is_not_there(rig: Rig) -> None:
    """It is refused, whoever makes links, and nothing is left of it."""
    plan = NetworkPlan(lan=Lan(kind="bridge", parent="nolan0"))
    name = NetworkName("lan")
    outcome = await do(rig, CreateNetwork(**{**NETWORK, "name": name}, internal=True, plan=plan))
    assert outcome.code == "E-NETWORK", outcome
    assert "nolan0" in outcome.reason
    assert name not in [each.name for each in (await see(rig)).networks]
    PLANS.pop(name, None)


CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
