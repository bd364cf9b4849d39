"""The container driver: what runs, and one step at a time (decision 0010 says why each call is as it is)."""

import asyncio
import json
import re
import resource
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec

from skerry.drivers.base import Chunk, ContainerStats, Exit, Pipe, Typed
from skerry.drivers.podman.alongside import read_pre_stop
from skerry.drivers.podman.answers import (
    ContainerItem,
    ExecState,
    HealthAnswer,
    HealthRun,
    ImageItem,
    Inspected,
    InspectedImage,
    NetworkItem,
    StatsAnswer,
)
from skerry.drivers.podman.bridges import keep_addresses
from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.hooks import Hooks
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, PodmanUnavailable, Query, split_frames
from skerry.drivers.podman.hung import end_session
from skerry.drivers.podman.inside import Inside
from skerry.drivers.podman.probe import ask
from skerry.drivers.podman.quota import read_storage
from skerry.drivers.podman.seen import (
    is_left_dying,
    list_name_servers,
    read_addresses,
    read_container,
    read_image,
    read_macs,
    read_network,
)
from skerry.drivers.podman.spec import LABEL, container_body, container_name, network_body, network_name, volume_name
from skerry.drivers.podman.vendors import FOLDERS, count_vendor_devices, read_vendor_devices
from skerry.drivers.podman.wiring import WIRED, Wiring
from skerry.model.app import Further, Mount
from skerry.model.grants import NodeUse
from skerry.model.ids import AppName, Digest, NetworkName, TenantName, VolumeName, volume_id
from skerry.model.instance import InstanceSpec, implied_volume, list_followed
from skerry.model.observed import ContainerSeen, NetworkSeen, Observation
from skerry.model.signed import Window
from skerry.plan.actions import (
    DONE,
    Action,
    CheckHealth,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DeleteVolume,
    LoadImage,
    Outcome,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RenewSecrets,
    RunHooks,
    StartContainer,
    StopContainer,
    UnpauseContainer,
    failed,
)
from skerry.plan.lans import NEEDS_OURS
from skerry.safe.node_paths import find_bind_obstacle, find_devices

_START_S = 120.0
_LOAD_S = 3600.0
_STREAM_SILENCE_S = 5.0
#: podman's clean-up after a death takes 150 to 550 ms (decision 0010); after this nobody does it any more.
_STOPPING_S = 20.0
#: Commands under way in one container that are looked at when a health check hangs.
_SESSIONS_MAX = 100
#: ``volumes`` are those without a name, which an image declares and no mount covers; ours have names.
_REMOVE: Query = {"force": True, "volumes": True}
#: podman names the container that holds a name.
_HOLDER = re.compile(r"\b[0-9a-f]{64}\b")


class PodmanDriver:
    """One podman service."""

    name = "podman"
    performs = (
        LoadImage,
        RemoveImage,
        CreateNetwork,
        RemoveNetwork,
        CreateContainer,
        StartContainer,
        StopContainer,
        UnpauseContainer,
        RenewSecrets,
        RunHooks,
        RemoveContainer,
        CheckHealth,
        DeleteVolume,
    )

    def __init__(
        self,
        socket: str,
        *,
        files: FileStage,
        read_archive: Callable[[Digest], Iterator[bytes]],
        volume_path: Callable[[str, str, str], str],
        keep_volume: Callable[[Action], Awaitable[Outcome]],
        kept: tuple[Path, ...] = (),
        wiring: Wiring | None = None,
    ) -> None:
        """Drive the service at ``socket``. What is ``kept`` is never bound into an instance.

        With ``wiring`` Skerry makes networks and links, else podman does.

        ``read_archive`` gives a complete image as an OCI archive, ``volume_path`` the directory of a volume's data.
        ``keep_volume`` performs ``CreateVolume``.
        """
        self._http = PodmanHttp(socket)
        self._inside = Inside(self._http, self._find_addresses)
        self._wiring = wiring
        #: podman has no network of ours any more.
        self._is_alone = False
        self._hooks = Hooks(self._http, files)
        self._files = files
        self._read_archive = read_archive
        self._volume_path = volume_path
        self._keep_volume = keep_volume
        self._kept = kept
        self._events: AsyncGenerator[bytes] | None = None
        #: Since when a container is seen stopping, by the event loop's clock.
        self._stopping: dict[str, float] = {}
        #: Addresses of running containers, asked for once for each process.
        self._addresses: dict[tuple[str, int], dict[NetworkName, tuple[str, ...]]] = {}
        self._macs: dict[tuple[str, int], dict[NetworkName, str]] = {}
        #: Starts under way, and how many there ever were.
        self._starting = 0
        self._starts = 0
        self._swept = False
        #: What the node is to be known for, as far as podman knows it; empty until the first look.
        self.facts: dict[str, str] = {}
        #: What of it stays as long as the service does, and when the folders of descriptions last changed.
        self._lasting: dict[str, str] = {}
        self._described: tuple[int, ...] = ()

    # --- looking -----------------------------------------------------------------------------------------------------

    async def observe(self) -> Observation:
        """List our containers, networks and images."""
        try:
            ours: Query = {"filters": json.dumps({"label": [LABEL + "instance"]}), "all": True}
            containers = await self._http.read(list[ContainerItem], "/containers/json", query=ours)
            networks = await self._see_networks(containers)
            images = await self._list_images()
            if not self._swept:
                self._lasting = await read_storage(self._http)
            self._note_facts()
        except (PodmanUnavailable, PodmanRefusal) as error:
            return Observation(driver=self.name, unavailable=str(error))
        self._note_stopping(containers)
        if not self._swept:
            self._swept = True
            self._files.sweep({name for item in containers for name in item.names or ()})
            if self._wiring is not None:
                self._wiring.sweep({name for item in containers for name in item.names or ()})
        return Observation(
            driver=self.name,
            containers=tuple(seen for item in containers if (seen := self._read_container(item)) is not None),
            networks=networks,
            images=tuple(seen for item in images if (seen := read_image(item)) is not None),
        )

    async def _see_networks(self, containers: list[ContainerItem]) -> tuple[NetworkSeen, ...]:
        if self._wiring is None:
            networks = await self._list_networks()
            await self._note_addresses(containers)
            return tuple(seen for item in networks if (seen := read_network(item)) is not None)
        seen = await self._wiring.look(containers)
        if seen.reason:
            raise PodmanUnavailable(seen.reason)
        if not self._is_alone:
            self._is_alone = await self._wiring.drop_podmans(self._http, containers)
        self._wiring.write_names([item for item in containers if item.state in ("running", "paused")])
        return seen.networks

    def _note_facts(self) -> None:
        """Tell what the node is known for anew, where vendors' descriptions were written or taken away."""
        age = tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in FOLDERS)
        if age != self._described:
            self._described = age
            self.facts.clear()
            self.facts |= count_vendor_devices(read_vendor_devices()) | self._lasting

    def _note_stopping(self, containers: list[ContainerItem]) -> None:
        now = asyncio.get_running_loop().time()
        going = {item.id for item in containers if is_left_dying(item)}
        self._stopping = {name: self._stopping.get(name, now) for name in going}

    async def _note_addresses(self, containers: list[ContainerItem]) -> None:
        """Ask for the addresses of what began to run; podman's list does not tell them, and they stay till it ends."""
        known, self._addresses = self._addresses, {}
        macs, self._macs = self._macs, {}
        for item in containers:
            key = (item.id, item.pid)
            if item.state not in ("running", "paused"):
                continue
            if key in known:
                self._addresses[key], self._macs[key] = known[key], macs.get(key, {})
                continue
            try:
                inspected = await self._http.read(Inspected, f"/containers/{item.id}/json")
            except PodmanRefusal as error:
                if error.status == 404:  # it has gone since
                    continue
                raise
            self._addresses[key] = read_addresses(inspected)
            self._macs[key] = read_macs(inspected)

    def _read_container(self, item: ContainerItem) -> ContainerSeen | None:
        since = self._stopping.get(item.id)
        stuck = since is not None and asyncio.get_running_loop().time() - since > _STOPPING_S
        seen = read_container(item, stuck=stuck)
        if seen is None:
            return None
        told = self._files.read_told(item.names[0]) if item.names else {}
        hooks = self._files.read_hooks(item.names[0], seen.began_us) if item.names and seen.began_us else None
        if self._wiring is not None:
            seen = self._wiring.complete(seen, item)
        elif WIRED in (item.labels or {}):
            # Skerry made its links, and does no longer: podman could start it with none.
            seen = msgspec.structs.replace(seen, spec=Digest(""))
        addresses = (
            seen.addresses or self._addresses.get((item.id, item.pid), {})
            if seen.state in ("running", "paused")
            else {}
        )
        if not (told or addresses or hooks):
            return seen
        macs = seen.macs or self._macs.get((item.id, item.pid), {})
        return msgspec.structs.replace(seen, secrets=told, addresses=addresses, macs=macs, hooks=hooks)

    async def read_process(self, container: str) -> int:
        """Return the first process of a running container; 0 where there is none."""
        try:
            return (await self._http.read(Inspected, f"/containers/{container}/json")).state.pid
        except PodmanRefusal as error:
            if error.status == 404:
                return 0
            raise

    async def read_addresses(self) -> set[str] | None:
        """Return the addresses of running containers; None when podman cannot say, or while a start is under way.

        The rules of a container that is being started are there before it is listed as running.
        """
        starts = self._starts
        if self._starting:
            return None
        try:
            running = await self._http.read(list[ContainerItem], "/containers/json")
            found: set[str] = set()
            for item in running:
                inspected = await self._http.read(Inspected, f"/containers/{item.id}/json")
                found |= {address.ip for address in (inspected.network_settings.networks or {}).values() if address.ip}
        except (PodmanUnavailable, PodmanRefusal):
            return None
        return found if starts == self._starts else None

    async def _list_networks(self) -> list[NetworkItem]:
        return await self._http.read(list[NetworkItem], "/networks/json")

    async def _list_images(self) -> list[ImageItem]:
        return await self._http.read(list[ImageItem], "/images/json")

    async def wait_changed(self) -> None:
        """Return when podman tells of a container's death, has come back, or has been away for a while.

        One stream serves many calls, so that no death falls between two of them.
        """
        try:
            if self._events is None:
                filters = json.dumps({"type": ["container"], "event": ["died"]})
                self._events = self._http.stream("GET", "/events", query={"stream": True, "filters": filters})
            await anext(self._events)
            return
        except (PodmanUnavailable, PodmanRefusal, StopAsyncIteration):
            self._events = None
        await asyncio.sleep(_STREAM_SILENCE_S)  # noqa: TID251 - a real runtime's driver lives in real time

    # --- doing -------------------------------------------------------------------------------------------------------

    async def perform(self, action: Action) -> Outcome:
        """Do one step."""
        try:
            return await self._do(action)
        except PodmanUnavailable as error:
            return failed("E-TIMEOUT", str(error))
        except PodmanRefusal as error:
            return failed(_code_of(str(error)), str(error))
        except OSError as error:
            return failed("E-DISK-FULL" if error.errno == 28 else "E-DISK", f"{type(error).__name__}: {error}")

    async def _do(self, action: Action) -> Outcome:
        match action:
            case LoadImage():
                return await self._load_image(action)
            case RemoveImage():
                return await self._gone("DELETE", f"/images/{_bare(action.config)}")
            case CreateNetwork() | RemoveNetwork() if self._wiring is not None:
                return await self._wiring.perform(action)
            case CreateNetwork():
                return await self._create_network(action)
            case RemoveNetwork():
                return await self._gone("DELETE", f"/networks/{network_name(action.tenant, action.app, action.name)}")
            case CreateContainer():
                return await self._create_container(action)
            case StartContainer():
                return await self._start_container(action)
            case StopContainer():
                return await self._stop_container(action)
            case DeleteVolume():
                # podman's handle only. A handle left behind would keep the next volume of that name from getting its
                # image's files and owner.
                return await self._gone("DELETE", f"/volumes/{volume_name(action.tenant, action.app, action.name)}")
            case UnpauseContainer():
                await self._http.call("POST", f"/containers/{action.container}/unpause")
                return DONE
            case RenewSecrets():
                return await self._renew_secrets(action)
            case RunHooks():
                hooks = action.spec.further.post_start if action.spec.further else ()
                name = container_name(action.spec, action.spec_digest)
                await self._hooks.run_after_start(action.container, name, hooks, action.began_us)
                return DONE
            case RemoveContainer():
                return await self._remove_container(action)
            case CheckHealth():
                return await self._check_health(action)
            case _:
                return failed("E-DRIVER", f"podman does not do {type(action).__name__}")

    async def _load_image(self, action: LoadImage) -> Outcome:
        try:
            archive = self._read_archive(action.image)
            await self._http.call("POST", "/images/load", stream=archive, deadline_s=_LOAD_S)
        except LookupError as error:
            return failed("E-IMAGE", str(error))
        if not any(item.id == _bare(action.config) for item in await self._list_images()):
            return failed("E-IMAGE", f"podman made another image of {action.image} than the signed {action.config}")
        return DONE

    async def _create_network(self, action: CreateNetwork) -> Outcome:
        if action.plan.lan:
            return failed("E-NETWORK", f"podman puts no network at {action.plan.lan.parent}: {NEEDS_OURS}")
        present = await self._list_networks()
        if any(item.name == network_name(action.tenant, action.app, action.name) for item in present):
            return DONE
        taken = {subnet.subnet for item in present for subnet in item.subnets or []}
        body = network_body(action, taken)
        await self._http.call("POST", "/networks/create", body)
        return DONE

    def _find_obstacle(self, spec: InstanceSpec) -> Outcome | None:
        """Say what of the node an instance cannot have now: before each start, for links can come meanwhile."""
        use = (spec.further.node if spec.further else None) or NodeUse()
        for bind in use.binds:
            obstacle = find_bind_obstacle(bind.source, self._kept)
            if obstacle:
                return failed("E-BIND", obstacle)
        further = spec.further or Further()
        wanted = {device.source for device in use.devices} | {disk.device for disk in further.disks}
        described = set(further.vendor_devices)
        missing = sorted(wanted - set(find_devices(wanted)))
        missing += sorted(described - read_vendor_devices()) if described else []
        return failed("E-DEVICE", f"{missing[0]} is not there") if missing else None

    async def _create_container(self, action: CreateContainer) -> Outcome:
        if (obstacle := self._find_obstacle(action.spec)) is not None:
            return obstacle
        implied = await self._implied_mounts(action.spec)
        for mount in implied:
            # No revision names it: it counts as born before every tombstone.
            kept = await self._keep_volume(
                CreateVolume(
                    volume=volume_id(action.spec.tenant, action.spec.app, mount.source),
                    tenant=action.spec.tenant,
                    app=action.spec.app,
                    name=VolumeName(mount.source),
                    uid_start=action.uid_start,
                    born=0,
                )
            )
            if not kept.ok:
                return kept
        spec = msgspec.structs.replace(action.spec, mounts=(*action.spec.mounts, *implied))
        for mount in spec.mounts:
            if mount.kind == "volume":
                await self._ensure_volume(spec.tenant, spec.app, mount.source)
        mounts = self._files.plan_mounts(spec, action.spec_digest)
        servers = list_name_servers(spec, [] if self._wiring else await self._list_networks())
        body = container_body(spec, action.spec_digest, action.uid_start, mounts, _hard_limits(), servers)
        if self._wiring is not None:
            self._wiring.dress(body, spec)
        body["env"] |= self._files.read_variables(spec)
        self._files.lay_out(spec, action.spec_digest, action.uid_start)
        try:
            await self._http.call("POST", "/containers/create", body)
        except PodmanRefusal as error:
            if "already in use" not in str(error):
                raise
            # A container of this very name: already there, or one that nobody can start any more.
            if not await self._is_usable(body["name"], action.spec_digest):
                holder = _HOLDER.search(str(error))
                await self._remove_by_force(holder[0] if holder else body["name"])
                await self._http.call("POST", "/containers/create", body)
        return DONE

    async def _implied_mounts(self, spec: InstanceSpec) -> tuple[Mount, ...]:
        """Give each folder that only the image declares as a volume a volume of ours, kept over revisions.

        podman would make one without a name, empty again for the next revision and gone with the container: data lost
        that nobody was told to delete.
        """
        image = await self._http.read(InspectedImage, f"/images/{_bare(spec.image_config)}/json")
        named = {mount.target.rstrip("/") for mount in (*spec.mounts, *(spec.folders or ()))}
        return tuple(
            Mount(kind="volume", source=implied_volume(spec, folder), target=folder)
            for folder in sorted(image.config.volumes or {})
            if folder.rstrip("/") not in named
        )

    async def _is_usable(self, name: str, digest: Digest) -> bool:
        query: Query = {"filters": json.dumps({"name": [f"^{name}$"]}), "all": True}
        containers = await self._http.read(list[ContainerItem], "/containers/json", query=query)
        if self._wiring is not None:
            self._wiring.changed()
            await self._wiring.look(containers)
        seen = [self._read_container(item) for item in containers]
        return any(item is not None and item.spec == digest for item in seen)

    async def _remove_by_force(self, container: str) -> None:
        """Remove a container and its nameless volumes. One whose conmon was killed goes at the second try only."""
        path, query = f"/containers/{container}", _REMOVE
        try:
            await self._gone("DELETE", path, query=query, deadline_s=_START_S)
        except PodmanRefusal:
            await self._gone("DELETE", path, query=query, deadline_s=_START_S)

    async def _ensure_volume(self, tenant: TenantName, app: AppName, name: str) -> None:
        """Make podman's handle on a directory of ours; the data are the directory's, whatever becomes of the handle."""
        handle = volume_name(tenant, app, name)
        try:
            await self._http.call("GET", f"/volumes/{handle}/json")
        except PodmanRefusal as error:
            if error.status != 404:
                raise
            options = {"type": "none", "o": "bind", "device": self._volume_path(tenant, app, name)}
            await self._http.call("POST", "/volumes/create", {"Name": handle, "Driver": "local", "Options": options})

    async def _start_container(self, action: StartContainer) -> Outcome:
        if (obstacle := self._find_obstacle(action.spec)) is not None:
            return obstacle
        self._files.lay_out(action.spec, action.spec_digest, action.uid_start)
        if self._wiring is not None and action.spec.networks:
            return await self._wiring.start(self._http, action)
        self._starting += 1
        self._starts += 1
        try:
            await self._http.call("POST", f"/containers/{action.container}/start", deadline_s=_START_S)
        finally:
            self._starting -= 1
        await keep_addresses(action.spec)
        return DONE

    async def _renew_secrets(self, action: RenewSecrets) -> Outcome:
        name = container_name(action.spec, action.spec_digest)
        self._files.renew(name, action.spec, action.names, action.uid_start)
        number: Query = {"signal": action.signal}
        await self._http.call("POST", f"/containers/{action.container}/kill", query=number)
        newest = {secret: version for secret, version in list_followed(action.spec).items() if secret in action.names}
        self._files.note_told(name, self._files.read_told(name) | newest)
        return DONE

    async def _stop_container(self, action: StopContainer) -> Outcome:
        try:
            made = await self._http.read(Inspected, f"/containers/{action.container}/json")
        except PodmanRefusal as error:
            if error.status == 404:
                return DONE
            raise
        seconds = max(action.grace_us // 1_000_000 if action.grace_us else made.config.stop_timeout, 1)
        hooks = read_pre_stop(made.config.labels or {})
        if hooks and made.state.running:
            seconds = max(int(await self._hooks.run_before_stop(action.container, hooks, seconds)), 1)
        query: Query = {"timeout": seconds}
        path = f"/containers/{action.container}/stop"
        try:
            return await self._gone("POST", path, query=query, deadline_s=seconds + 60)
        except PodmanRefusal as error:
            if "paused" not in str(error):
                raise
        # Frozen by hand: podman does not stop what cannot hear the signal.
        await self._http.call("POST", f"/containers/{action.container}/unpause")
        return await self._gone("POST", path, query=query, deadline_s=seconds + 60)

    async def _remove_container(self, action: RemoveContainer) -> Outcome:
        try:
            inspected = await self._http.read(Inspected, f"/containers/{action.container}/json")
        except PodmanRefusal as error:
            if error.status == 404:
                return DONE
            raise
        await self._remove_by_force(action.container)
        self._files.clear(inspected.name or action.container)
        if self._wiring is not None:
            await self._wiring.forget(action.container, inspected)
        return DONE

    async def _gone(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        deadline_s: float = 60.0,
    ) -> Outcome:
        """Make a call whose aim is also reached when the thing is not there or already so."""
        try:
            await self._http.call(method, path, query=query, deadline_s=deadline_s)
        except PodmanRefusal as error:
            if error.status not in (304, 404):
                raise
        return DONE

    async def _check_health(self, action: CheckHealth) -> Outcome:
        if action.check.probe:
            addresses = await self._find_addresses(action.container)
            flaw = await ask(addresses[0] if addresses else "", action.check.probe, action.check.timeout_us)
            return Outcome(ok=True, healthy=not flaw, reason=flaw)
        deadline_s = action.check.timeout_us / 1_000_000 + 10
        try:
            answer = await self._http.read(
                HealthAnswer, f"/containers/{action.container}/healthcheck", deadline_s=deadline_s
            )
        except PodmanUnavailable as error:
            if not error.late:
                raise
            # podman runs the command for as long as it likes, whatever its timeout says.
            await self._end_hung(action.container)
            return Outcome(ok=True, healthy=False, reason=f"its health check gave no result within {deadline_s:.0f} s")
        if answer.status == "healthy":
            return Outcome(ok=True, healthy=True)
        inspected = await self._http.read(Inspected, f"/containers/{action.container}/json")
        last = (inspected.state.health.log or [HealthRun()])[-1]
        reason = f"health check failed with code {last.exit_code}: {last.output.strip()[-200:]}"
        return Outcome(ok=True, healthy=False, reason=reason)

    async def _find_addresses(self, container: str) -> list[str]:
        """Return the addresses at which an instance is reached now, those of its first network first."""
        if self._wiring is not None:
            return await self._wiring.find_addresses(container)
        inspected = await self._http.read(Inspected, f"/containers/{container}/json")
        return [each for _, found in sorted(read_addresses(inspected).items()) for each in found]

    async def _end_hung(self, container: str) -> None:
        """Kill what a late health check has left running, or each check would leave one more until no process fits."""
        inspected = await self._http.read(Inspected, f"/containers/{container}/json")
        check = inspected.config.healthcheck
        for session in (inspected.exec_ids or [])[:_SESSIONS_MAX] if check is not None else ():
            state = await self._http.read(ExecState, f"/exec/{session}/json")
            # What people run inside has a process that podman knows.
            if check is not None and not state.running and state.process.argv == check.argv:
                await asyncio.to_thread(end_session, session, container)

    # --- streams -----------------------------------------------------------------------------------------------------

    async def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncIterator[Chunk]:
        """Stream the container's output."""
        query: Query = {"stdout": True, "stderr": True, "tail": tail, "follow": follow}
        buffer = bytearray()
        try:
            async with aclosing(self._http.stream("GET", f"/containers/{container}/logs", query=query)) as pieces:
                async for piece in pieces:
                    buffer += piece
                    for channel, data in split_frames(buffer):
                        yield Chunk(channel or 1, data)
        except (PodmanUnavailable, PodmanRefusal) as error:
            yield Chunk(2, f"logs ended: {error}\n".encode())

    def run_command(
        self, container: str, argv: tuple[str, ...], stdin: AsyncIterator[Typed], terminal: Window | None = None
    ) -> AsyncIterator[Chunk | Exit]:
        """Run a command inside, give it input and stream its output."""
        return self._inside.run_command(container, argv, stdin, terminal)

    async def open_port(self, container: str, port: int) -> Pipe:
        """Connect to a port at the container's own address."""
        return await self._inside.open_port(container, port)

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        """Read the use of all running containers once."""
        try:
            answer = await self._http.read(StatsAnswer, "/containers/stats", query={"stream": False})
        except (PodmanUnavailable, PodmanRefusal):
            return ()
        counts = await self._wiring.count_bytes() if self._wiring is not None else {}
        return tuple(
            ContainerStats(
                container=item.container,
                cpu_us=item.cpu_ns // 1000,
                memory_bytes=item.memory,
                received_bytes=counts.get(item.container, (item.received, item.sent))[0],
                sent_bytes=counts.get(item.container, (item.received, item.sent))[1],
                read_bytes=item.read,
                written_bytes=item.written,
            )
            for item in answer.stats or []
        )


def _hard_limits() -> dict[str, int]:
    """Return how far this node lets a process tree go, as far as podman was started like us.

    podman itself goes no further than these two numbers, the second being the processes of a small kernel.
    """
    most = {"nofile": (resource.RLIMIT_NOFILE, 1_048_576), "nproc": (resource.RLIMIT_NPROC, 32_768)}
    hard = {name: (resource.getrlimit(number)[1], own) for name, (number, own) in most.items()}
    return {name: own if limit < 0 else min(limit, own) for name, (limit, own) in hard.items()}


def _bare(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _code_of(message: str) -> str:
    if "address already in use" in message:
        return "E-PORT-IN-USE"
    if "no space left" in message or "disk quota" in message:
        return "E-DISK-FULL"
    return "E-RUNTIME"
