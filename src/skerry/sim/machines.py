"""Fake machines: a node's runtime, volumes and firewall in memory, with the faults that real ones have.

``FakeMachine`` is what survives the agent: containers, images, volumes, networks and rules. ``FakeDriver`` is the
agent's hand on it and implements the same interface as the real drivers, down to the contract tests. Faults are drawn
from the machine's own mint: slow and failing actions, and half-done ones, where the effect happened but the agent was
told that it had not.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from skerry.clock import SECOND_US, Clock, Mint
from skerry.drivers.base import Chunk, ContainerStats, Exit, Measured, Pipe, PortRefused, Typed
from skerry.model.app import Address, Further, NetworkPlan, Probe
from skerry.model.grants import NodeUse, matches_device
from skerry.model.ids import Digest, InstanceId, NetworkName, NodeName, VolumeName
from skerry.model.instance import InstanceSpec, list_followed
from skerry.model.observed import (
    ChainHop,
    ChainsSeen,
    ContainerSeen,
    ContainerState,
    HooksSeen,
    ImageSeen,
    NetworkSeen,
    NodeSeen,
    Observation,
    VolumeSeen,
)
from skerry.model.samples import HostUse
from skerry.model.signed import Window
from skerry.plan.actions import (
    DONE,
    Action,
    ApplyChains,
    ApplyEntrance,
    ApplyRules,
    ApplyTranslation,
    AppRules,
    CheckHealth,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DeleteVolume,
    DropSnapshot,
    LoadImage,
    Outcome,
    ProbeChain,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RenewSecrets,
    RestoreVolume,
    RunHooks,
    SizeVolume,
    StartContainer,
    Steer,
    StopContainer,
    TakeSnapshot,
    UnpauseContainer,
    failed,
)
from skerry.plan.addresses import Lease, NoAddress, choose_ranges
from skerry.plan.entrance import server_name
from skerry.plan.sharing import find_shared
from skerry.sim.chains import FakeChains, find_way
from skerry.sim.consoles import PAGE_PORT, PagePipe, read_terminal
from skerry.sim.entrances import FakeEntrance
from skerry.sim.volumes import FakeVolumes

#: What a machine has unless some of it broke.
MEMORY_BYTES = 8 << 30


class MachineFaults(msgspec.Struct):
    """Rates, per action, in the closed interval [0, 1]; times in microseconds."""

    fail: float = 0.0
    #: The effect happens, the answer is lost.
    half: float = 0.0
    slow_us: int = 0
    unavailable: bool = False


class FakeMachine:
    """One machine at a site; it goes on while no agent is there."""

    def __init__(self, node: NodeName, mint: Mint, disk_bytes: int = 64 << 30, *, wired: bool = False) -> None:
        """With ``wired`` Skerry makes the links of instances, else the runtime does."""
        self.node = node
        self.mint = mint
        self.boots = 1
        self.disk_bytes = disk_bytes
        self.memory_bytes = MEMORY_BYTES
        self.containers: dict[str, ContainerSeen] = {}
        self.specs: dict[str, InstanceSpec] = {}
        self.images: dict[Digest, ImageSeen] = {}
        self.storage = FakeVolumes("directory")
        self.networks: dict[tuple[str, str, str], NetworkSeen] = {}
        self.network_plans: dict[tuple[str, str, str], NetworkPlan] = {}
        self.rules = ""
        #: What the firewall table was made from.
        self.guard: tuple[AppRules, ...] = ()
        self.steering = FakeChains(self._pass_on)
        self.entrance = FakeEntrance()
        #: What addresses are translated by; None where the runtime does it.
        self.translation: str | None = "" if wired else None
        self.unhealthy: set[InstanceId] = set()
        self.faults = MachineFaults()
        #: Every start, stop and deletion, for checkers: (kind, subject).
        self.story: list[tuple[str, str]] = []
        self.changed: Callable[[], None] = lambda: None
        #: Its boot-time clock.
        self.boot_us: Callable[[], int] = lambda: 0
        #: Called with every action before it takes effect, for checkers.
        self.witness: Callable[[Action], None] = lambda _: None
        #: Images whose containers never come about.
        self.poison: set[Digest] = set()
        #: Device nodes that are there.
        self.devices: set[str] = {"/dev/fuse", "/dev/net/tun"}
        #: Network devices that are there, and facts of its kernel.
        self.links: set[str] = set()
        self.kernel: dict[str, str] = {}
        #: Devices that vendors describe.
        self.vendor_devices: set[str] = set()
        #: Bytes of disk that the agent's own blobs take.
        self.blob_bytes: Callable[[], int] = lambda: 0
        self._serial = 0

    @property
    def chains(self) -> ChainsSeen:
        """What steers packets, as the node sees it."""
        return self.steering.seen

    @chains.setter
    def chains(self, seen: ChainsSeen) -> None:
        self.steering.seen = seen

    @property
    def steers(self) -> tuple[Steer, ...]:
        """What steers packets."""
        return self.steering.steers

    @steers.setter
    def steers(self, steers: tuple[Steer, ...]) -> None:
        self.steering.steers = steers

    def _pass_on(self, hop: ChainHop) -> tuple[str, str] | None:
        return find_way(hop, self.containers.values(), self.networks)

    @property
    def boot(self) -> str:
        """Name of this boot, as a machine's boot id."""
        return f"boot-{self.boots}"

    def answering(self) -> set[str]:
        """Copies that answer people, by their names in the entrance."""
        return {
            server_name(seen.container)
            for seen in self.containers.values()
            if seen.state == "running" and seen.instance not in self.unhealthy
        }

    def running(self) -> list[InstanceId]:
        """Instances that run now, sorted."""
        return sorted(seen.instance for seen in self.containers.values() if seen.state == "running")

    def is_well(self, container: str) -> bool:
        """Say what an instance's own health check says now; without one it is well."""
        seen, check = self.containers[container], self.specs[container].healthcheck
        if check is None:
            return True
        return bool(self._check_health(CheckHealth(container=container, instance=seen.instance, check=check)).healthy)

    def reboot(self) -> None:
        """Power off and on: everything stops, the disk stays."""
        self.boots += 1
        for name, seen in self.containers.items():
            if seen.state != "created":
                self._set(name, "exited", 0)
        self.rules, self.guard = "", ()
        self.entrance.end()
        if self.translation is not None:
            self.translation = ""
            self.networks.clear()  # a bridge of ours is the kernel's alone
        self.steering.lose_power()

    @property
    def volumes(self) -> dict[str, VolumeSeen]:
        """What is seen of its volumes."""
        return self.storage.seen

    @property
    def contents(self) -> dict[str, str]:
        """What services wrote: volume id to content, to see that nothing is lost."""
        return self.storage.contents

    @property
    def grown(self) -> dict[str, int]:
        """Bytes that services wrote and nobody has to read again: volume id to count."""
        return self.storage.grown

    def crash(self, instance: InstanceId, exit_code: int = 1) -> None:
        """Let an instance's process end by itself."""
        for name, seen in self.containers.items():
            if seen.instance == instance and seen.state == "running":
                self._set(name, "exited", exit_code)
                self._end_sharers(seen.spec)
                self.changed()

    def image_disk(self) -> tuple[dict[Any, Any], ...]:
        """Return a copy of what is on the machine's disk."""
        return tuple(
            dict(part)
            for part in (
                self.containers,
                self.specs,
                self.images,
                self.storage.image(),
                self.networks,
                self.network_plans,
            )
        )

    def put_back(self, image: tuple[dict[Any, Any], ...]) -> None:
        """Be as the image says, with everything stopped: the machine was off."""
        self.containers, self.specs, self.images, volumes, networks, plans = map(dict, image)
        self.storage.put_back(volumes)
        self.networks, self.network_plans = networks, plans
        self.reboot()

    def remove_by_hand(self, instance: InstanceId) -> None:
        """Somebody at the machine removes an instance's containers."""
        for name in [name for name, seen in self.containers.items() if seen.instance == instance]:
            del self.containers[name]
            del self.specs[name]

    def _set(self, container: str, state: ContainerState, exit_code: int) -> None:
        seen = self.containers[container]
        began_us = 0 if state != "running" else seen.began_us or self.boot_us()
        addresses, macs = (seen.addresses, seen.macs) if state in ("running", "paused") else ({}, {})
        self.containers[container] = msgspec.structs.replace(
            seen,
            state=state,
            exit_code=exit_code,
            began_us=began_us,
            addresses=addresses,
            macs=macs,
            hooks=seen.hooks if state in ("running", "paused") else None,
        )

    def free_bytes(self) -> int:
        """Disk that is left."""
        images = sum(image.size_bytes for image in self.images.values())
        return self.disk_bytes - images - self.blob_bytes() - sum(self.grown.values())

    def do(self, action: Action, archive: Callable[[Digest], int]) -> Outcome:
        """Perform one action at once; idempotent, as the drivers' contract says."""
        self.witness(action)
        match action:
            case LoadImage():
                self.images[action.config] = ImageSeen(action.image, action.config, archive(action.image))
            case RemoveImage():
                self.images.pop(action.config, None)
            case CreateNetwork():
                return self._create_network(action)
            case RemoveNetwork():
                self.networks.pop((action.tenant, action.app, action.name), None)
                self.network_plans.pop((action.tenant, action.app, action.name), None)
            case CreateVolume() | SizeVolume() | TakeSnapshot() | DropSnapshot() | RestoreVolume():
                return self.storage.do(action)
            case DeleteVolume():
                self.story.append(("delete-volume", action.volume))
                return self.storage.do(action)
            case CreateContainer():
                return self._create_container(action)
            case StartContainer():
                return self._start(action)
            case StopContainer():
                if action.container in self.containers and self.containers[action.container].state != "exited":
                    if self.containers[action.container].state == "running":
                        self._tell_hooks(action.container, "pre-stop")
                    self.story.append(("stop", action.instance))
                    self._set(action.container, "exited", 143)
                    self._end_sharers(self.containers[action.container].spec)
            case UnpauseContainer():
                if action.container in self.containers:
                    self._set(action.container, "running", 0)
            case RenewSecrets():
                seen = self.containers.get(action.container)
                if seen is None or seen.state != "running":
                    return failed("E-RUNTIME", "no running container to be told")
                newest = list_followed(action.spec)
                told = seen.secrets | {name: newest[name] for name in action.names}
                self.containers[action.container] = msgspec.structs.replace(seen, secrets=told)
                self.story.append((f"signal {action.signal}", action.instance))
            case RunHooks():
                return self._run_hooks(action)
            case RemoveContainer():
                leaning = self._find_leaning(action.container)
                if leaning:
                    return failed("E-RUNTIME", f"{leaning} is in its namespaces")
                self.containers.pop(action.container, None)
                self.specs.pop(action.container, None)
            case CheckHealth():
                return self._check_health(action)
            case ApplyChains():
                self.steering.apply(action)
            case ProbeChain():
                return Outcome(ok=True, passes=self.steering.probe(action))
            case ApplyEntrance():
                self.entrance.apply(action, self.boot_us())
            case ApplyRules():
                self.rules, self.guard = action.digest, action.networks
            case ApplyTranslation():
                self.translation = action.digest
            case _:
                return failed("E-NO-DRIVER", f"a fake machine does not do {type(action).__name__}")
        return DONE

    def _create_network(self, action: CreateNetwork) -> Outcome:
        key = (action.tenant, action.app, action.name)
        lan = action.plan.lan or None
        if lan is not None and self.translation is None:
            return failed("E-NETWORK", f"the runtime puts no network at {lan.parent}")
        if lan is not None and lan.parent not in self.links:
            return failed("E-NETWORK", f"this node has no network device {lan.parent}")
        taken = [each.subnet for seen in self.networks.values() for each in seen.ranges]
        self.network_plans[key] = action.plan
        self.networks[key] = NetworkSeen(
            tenant=action.tenant,
            app=action.app,
            name=action.name,
            internal=action.internal,
            plan=action.plan_name,
            names=action.names,
            ranges=action.ranges
            or (() if lan else choose_ranges(action.tenant, action.app, action.name, action.plan, taken)),
            lan=lan is not None,
        )
        return DONE

    def _link(self, action: StartContainer) -> dict[NetworkName, tuple[str, ...]] | Outcome:
        """Give addresses as the links say, where there are links."""
        spec = action.spec
        if self.translation is None:
            try:
                return self._give_addresses(spec)
            except NoAddress as error:
                return failed("E-RUNTIME", str(error))
        if {link.network for link in action.links} != set(spec.networks):
            return failed("E-NETWORK", "not every network of the instance has a link")
        gone = [link.lan.parent for link in action.links if link.lan is not None and link.lan.parent not in self.links]
        if gone:
            return failed("E-NETWORK", f"this node has no network device {gone[0]}")
        given = {link.network: tuple(each.partition("/")[0] for each in link.addresses) for link in action.links}
        for seen in self.containers.values():
            for name, addresses in seen.addresses.items():
                if (seen.tenant, seen.app) == (spec.tenant, spec.app) and set(addresses) & set(given.get(name, ())):
                    return failed("E-ADDRESS-IN-USE", f"an address in network {name} is {seen.instance}'s by now")
        return given

    def _give_addresses(self, spec: InstanceSpec) -> dict[NetworkName, tuple[str, ...]]:
        """Choose addresses as a runtime does that is told none."""
        fixed = spec.further.addresses if spec.further else {}
        given: dict[NetworkName, tuple[str, ...]] = {}
        for name in sorted(spec.networks):
            key = (spec.tenant, spec.app, name)
            if key not in self.networks:
                continue
            taken = {
                address
                for seen in self.containers.values()
                if (seen.tenant, seen.app) == key[:2]
                for address in seen.addresses.get(name, ())
            }
            lease = Lease(self.networks[key].ranges, self.network_plans.get(key, NetworkPlan()), taken)
            given[name] = tuple(each.partition("/")[0] for each in lease.take(fixed.get(name, Address())))
        return given

    def _create_container(self, action: CreateContainer) -> Outcome:
        spec = action.spec
        if spec.image in self.poison:
            return failed("E-RUNTIME", "the runtime breaks on this image")
        if spec.image_config not in self.images:
            return failed("E-RUNTIME", f"no such image: {spec.image_config}")
        if missing := self._find_missing(spec):
            return missing
        for seen in self.containers.values():
            if seen.instance == spec.id and seen.spec == action.spec_digest:
                return DONE
        if find_shared(spec) and not any(seen.spec == spec.joined for seen in self.containers.values()):
            return failed("E-RUNTIME", "no such container to share namespaces with")
        self._serial += 1
        name = f"c{self._serial:05}"
        self.specs[name] = spec
        self.containers[name] = ContainerSeen(
            container=name,
            instance=spec.id,
            tenant=spec.tenant,
            app=spec.app,
            service=spec.service,
            ordinal=spec.ordinal,
            spec=action.spec_digest,
            image_config=spec.image_config,
            state="created",
            ports=tuple(port for port in spec.ports if port.published) if self.translation is not None else (),
            volumes=tuple(VolumeName(mount.source) for mount in spec.mounts if mount.kind == "volume"),
            joined=spec.joined or Digest(""),
        )
        return DONE

    def _find_leaning(self, container: str) -> str:
        seen = self.containers.get(container)
        leaning = (each.instance for each in self.containers.values() if seen is not None and each.joined == seen.spec)
        return next(leaning, "")

    def _end_sharers(self, spec: Digest) -> None:
        """The kernel ends what is in a namespace of processes with the first of them."""
        for name, seen in self.containers.items():
            further = self.specs[name].further
            if seen.state == "running" and seen.joined == spec and further and "pid" in further.shares:
                self._set(name, "exited", 137)

    def _tell_hooks(self, container: str, when: str) -> None:
        further = self.specs[container].further
        for hook in (further.pre_stop if when == "pre-stop" else further.post_start) if further else ():
            self.story.append((when, f"{self.containers[container].instance} {' '.join(hook.command)}"))

    def _run_hooks(self, action: RunHooks) -> Outcome:
        """Obey a command that says itself what it does: ``echo words; exit 3``."""
        seen, further = self.containers.get(action.container), action.spec.further
        if seen is None or seen.state != "running":
            return failed("E-RUNTIME", "no running container to run a command in")
        if seen.hooks is not None or seen.began_us != action.began_us or not further:
            return DONE
        hooks = HooksSeen("done")
        for position, hook in enumerate(further.post_start):
            self.story.append(("post-start", f"{seen.instance} {' '.join(hook.command)}"))
            said = re.fullmatch(r"echo (.*); exit ([0-9]+)", hook.command[-1])
            if said is not None and said[2] != "0":
                count = f"{position + 1} of {len(further.post_start)}"
                hooks = HooksSeen("failed", f"post_start command {count} ended with code {said[2]}: {said[1]}")
                break
        self.containers[action.container] = msgspec.structs.replace(seen, hooks=hooks)
        return DONE

    def _find_missing(self, spec: InstanceSpec) -> Outcome | None:
        use = (spec.further.node if spec.further else None) or NodeUse()
        further = spec.further or Further()
        wanted = {device.source for device in use.devices} | {disk.device for disk in further.disks}
        missing = sorted(wanted - self.devices) + sorted(set(further.vendor_devices) - self.vendor_devices)
        return failed("E-DEVICE", f"{missing[0]} is not there") if missing else None

    def _check_health(self, action: CheckHealth) -> Outcome:
        """Obey ``unhealthy``, and a command that says itself what it does: ``echo words; exit 3``.

        A service listens at the ports that its specification names, and at 8080; its only page is ``/``.
        """
        if action.check.probe:
            return self._ask(action, action.check.probe)
        said = re.fullmatch(r"echo (.*); exit ([0-9]+)", action.check.test[-1])
        if said is not None and said[2] != "0":
            return Outcome(ok=True, healthy=False, reason=f"health check failed with code {said[2]}: {said[1]}")
        well = action.instance not in self.unhealthy
        return Outcome(ok=True, healthy=well, reason="" if well else "it said no")

    def _ask(self, action: CheckHealth, probe: Probe) -> Outcome:
        seen, spec = self.containers.get(action.container), self.specs.get(action.container)
        heard = {8080, *(port.target for port in spec.ports)} if spec is not None and spec.networks else set[int]()
        flaw = ""
        if seen is None or seen.state != "running" or probe.port not in heard or action.instance in self.unhealthy:
            flaw = f"port {probe.port} takes no connection"
        elif probe.path not in ("", "/"):
            flaw = f"{probe.path} at port {probe.port} answered 404"
        return Outcome(ok=True, healthy=not flaw, reason=flaw)

    def _start(self, action: StartContainer) -> Outcome:
        seen = self.containers.get(action.container)
        if seen is None:
            return failed("E-RUNTIME", "no such container")
        if seen.state == "running":
            return DONE
        if missing := self._find_missing(action.spec):
            return missing
        joined = (each.state for each in self.containers.values() if each.spec == seen.joined)
        if seen.joined and "running" not in joined:
            return failed("E-RUNTIME", "what it shares namespaces with does not run")
        ports = {(port.published, port.protocol) for port in self.specs[action.container].ports if port.published}
        for name, other in self.containers.items():
            if other.state == "running" and name != action.container:
                taken = {(port.published, port.protocol) for port in self.specs[name].ports} & ports
                if taken:
                    return failed("E-PORT-IN-USE", f"port {min(taken)[0]} is in use by {other.instance}")
        addresses = self._link(action)
        if isinstance(addresses, Outcome):
            return addresses
        macs = {link.network: link.mac for link in action.links}
        told = msgspec.structs.replace(seen, secrets=list_followed(action.spec), addresses=addresses, macs=macs)
        self.containers[action.container] = told
        self._set(action.container, "running", 0)
        self.story.append(("start", action.instance))
        for volume in seen.volumes:
            key = f"{seen.tenant}/{seen.app}/{volume}"
            self.contents[key] = self.contents.get(key, "") + "+"
        return DONE


class FakeDriver:
    """The agent's hand on a fake machine."""

    name = "fake"
    performs = (
        LoadImage,
        RemoveImage,
        CreateNetwork,
        RemoveNetwork,
        CreateVolume,
        SizeVolume,
        DeleteVolume,
        TakeSnapshot,
        DropSnapshot,
        RestoreVolume,
        CreateContainer,
        StartContainer,
        StopContainer,
        UnpauseContainer,
        RenewSecrets,
        RunHooks,
        RemoveContainer,
        CheckHealth,
        ApplyChains,
        ProbeChain,
        ApplyEntrance,
        ApplyRules,
        ApplyTranslation,
    )

    def __init__(
        self,
        machine: FakeMachine,
        clock: Clock,
        archive_size: Callable[[Digest], int],
        list_patterns: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self.machine = machine
        self._clock = clock
        self._archive_size = archive_size
        self._list_patterns = list_patterns
        self._changed = asyncio.Event()
        #: The last volume of a measuring under way.
        self._measured = ""
        machine.changed = self._changed.set
        machine.boot_us = clock.boot_us

    async def observe(self) -> Observation:
        """Look at the machine."""
        machine = self.machine
        if machine.faults.unavailable:
            return Observation(driver=self.name, unavailable="the runtime does not answer")
        return Observation(
            driver=self.name,
            containers=tuple(machine.containers.values()),
            volumes=tuple(machine.volumes.values()),
            networks=tuple(machine.networks.values()),
            images=tuple(machine.images.values()),
            rules=machine.rules,
            entrance=machine.entrance.observe(machine.answering()),
            translation=machine.translation,
            chains=machine.chains,
            node=NodeSeen(
                node=machine.node,
                cpu_m=4000,
                memory_bytes=machine.memory_bytes,
                memory_available_bytes=machine.memory_bytes,
                disk_bytes=machine.disk_bytes,
                disk_free_bytes=machine.free_bytes(),
                arch="amd64",
                facts={"arch": "amd64", "os": "linux", **machine.kernel},
                devices=tuple(
                    device
                    for device in sorted(machine.devices | machine.links)
                    if any(matches_device(pattern, device) for pattern in self._list_patterns())
                ),
            ),
        )

    async def perform(self, action: Action) -> Outcome:
        """Do one action, with the faults the machine has now."""
        faults = self.machine.faults
        if faults.unavailable:
            return failed("E-TIMEOUT", "the runtime does not answer")
        if faults.slow_us:
            await self._clock.sleep_until(self._clock.boot_us() + int(faults.slow_us * self.machine.mint.uniform()))
        if faults.fail and self.machine.mint.uniform() < faults.fail:
            return failed("E-RUNTIME", "the runtime refused")
        outcome = self.machine.do(action, self._archive_size)
        if faults.half and outcome.healthy is None and self.machine.mint.uniform() < faults.half:
            return failed("E-TIMEOUT", "no answer in time")
        return outcome

    async def read_use(self) -> HostUse:
        """One processor of four is busy for ever."""
        machine = self.machine
        return HostUse(
            cpu_us=self._clock.boot_us(),
            load_m=1000,
            memory_bytes=1 << 30,
            disk_bytes=machine.disk_bytes - machine.free_bytes(),
            files=1 << 20,
            files_used=1000 + len(machine.images),
        )

    async def measure(self, entries_max: int) -> Measured:
        """A volume takes a block, and what was written to it; each is one entry, and turns go by name."""
        machine = self.machine
        names = [name for name in sorted(machine.volumes) if name > self._measured]
        turn = names[:entries_max]
        self._measured = turn[-1] if len(turn) < len(names) else ""
        sizes = {
            machine.volumes[name].volume: 4096 + machine.grown.get(name, 0) + len(machine.contents.get(name, ""))
            for name in turn
        }
        return Measured(sizes, len(turn) == len(names))

    async def wait_changed(self) -> None:
        """Return when a container ended by itself."""
        await self._changed.wait()
        self._changed.clear()

    async def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncIterator[Chunk]:
        """Give a line that names the container's instance."""
        seen = self.machine.containers.get(container)
        if seen is not None:
            yield Chunk(1, f"{seen.instance} says hello\n".encode())
        if follow:
            await self._clock.sleep_until(self._clock.boot_us() + 3600 * SECOND_US)

    async def run_command(
        self, container: str, argv: tuple[str, ...], stdin: AsyncIterator[Typed], terminal: Window | None = None
    ) -> AsyncIterator[Chunk | Exit]:
        """Echo the command; one that ends with ``cat`` echoes its input too. With a terminal, see consoles.py."""
        self.machine.story.append(("exec", f"{container} {' '.join(argv)}"))
        if terminal is not None:
            async for item in read_terminal(stdin, terminal):
                yield item
            return
        yield Chunk(1, " ".join(argv).encode())
        if argv[-1].endswith("cat"):
            async for data in stdin:
                if isinstance(data, bytes):
                    yield Chunk(1, data)
        yield Exit(0)

    async def open_port(self, container: str, port: int) -> Pipe:
        """Connect to a server of one page, at the port that most images serve."""
        seen = self.machine.containers.get(container)
        if seen is None or seen.state != "running" or port != PAGE_PORT:
            raise PortRefused(f"nothing takes connections at port {port} of the instance's own address")
        self.machine.story.append(("forward", f"{container} {port}"))
        return PagePipe()

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        """Every running container uses a little, and its processor time grows with the time."""
        spent_us = self._clock.boot_us() // 100
        return tuple(
            ContainerStats(container=name, cpu_us=1000 + spent_us, memory_bytes=1 << 20)
            for name, seen in sorted(self.machine.containers.items())
            if seen.state == "running"
        )
