"""The container driver: what runs, and one step at a time (decision 0010 says why each call is as it is)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from skerry.drivers.base import Chunk, ContainerStats, Exit
from skerry.drivers.podman.answers import (
    ContainerItem,
    ExecMade,
    ExecState,
    HealthAnswer,
    HealthRun,
    ImageItem,
    Inspected,
    NetworkItem,
    StatsAnswer,
)
from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, PodmanUnavailable, Query, split_frames
from skerry.drivers.podman.spec import LABEL, container_body, network_body, network_name, volume_name
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, ServiceName, TenantName, VolumeName
from skerry.model.observed import ContainerSeen, ContainerState, ImageSeen, NetworkSeen, Observation
from skerry.plan.actions import (
    DONE,
    Action,
    CheckHealth,
    CreateContainer,
    CreateNetwork,
    LoadImage,
    Outcome,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    StartContainer,
    StopContainer,
    UnpauseContainer,
    failed,
)

#: podman's words for a container's state, and what they mean for a planner: only ``created`` and ``exited`` may be
#: started; in ``stopped`` podman still clears away what the dead process left.
_STATES: dict[str, ContainerState] = {
    "created": "created",
    "configured": "created",
    "initialized": "created",
    "running": "running",
    "paused": "paused",
    "exited": "exited",
    "stopped": "stopping",
    "stopping": "stopping",
    "removing": "stopping",
}
_START_S = 120.0
_LOAD_S = 3600.0
_STREAM_SILENCE_S = 5.0


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
        RemoveContainer,
        CheckHealth,
    )

    def __init__(
        self,
        socket: str,
        *,
        files: FileStage,
        read_archive: Callable[[Digest], Iterator[bytes]],
        volume_path: Callable[[str, str, str], str],
    ) -> None:
        """Drive the service at ``socket``.

        ``read_archive`` gives a complete image as an OCI archive, ``volume_path`` the directory of a volume's data.
        """
        self._http = PodmanHttp(socket)
        self._files = files
        self._read_archive = read_archive
        self._volume_path = volume_path

    # --- looking -----------------------------------------------------------------------------------------------------

    async def observe(self) -> Observation:
        """List our containers, networks and images."""
        try:
            ours: Query = {"filters": json.dumps({"label": [LABEL + "instance"]}), "all": True}
            containers = await self._http.read(list[ContainerItem], "/containers/json", query=ours)
            networks = await self._list_networks()
            images = await self._list_images()
        except (PodmanUnavailable, PodmanRefusal) as error:
            return Observation(driver=self.name, unavailable=str(error))
        return Observation(
            driver=self.name,
            containers=tuple(seen for item in containers if (seen := _read_container(item)) is not None),
            networks=tuple(seen for item in networks if (seen := _read_network(item)) is not None),
            images=tuple(seen for item in images if (seen := _read_image(item)) is not None),
        )

    async def read_addresses(self) -> set[str] | None:
        """Return the addresses of running containers, None when podman cannot say."""
        try:
            running = await self._http.read(list[ContainerItem], "/containers/json")
            found: set[str] = set()
            for item in running:
                inspected = await self._http.read(Inspected, f"/containers/{item.id}/json")
                found |= {address.ip for address in (inspected.network_settings.networks or {}).values() if address.ip}
        except (PodmanUnavailable, PodmanRefusal):
            return None
        return found

    async def _list_networks(self) -> list[NetworkItem]:
        return await self._http.read(list[NetworkItem], "/networks/json")

    async def _list_images(self) -> list[ImageItem]:
        return await self._http.read(list[ImageItem], "/images/json")

    async def wait_changed(self) -> None:
        """Return when podman tells of a container's death, or has gone away for a while."""
        try:
            filters = json.dumps({"type": ["container"], "event": ["died"]})
            async for _ in self._http.stream("GET", "/events", query={"stream": True, "filters": filters}):
                return
        except (PodmanUnavailable, PodmanRefusal):
            pass
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
            case CreateNetwork():
                return await self._create_network(action)
            case RemoveNetwork():
                return await self._gone("DELETE", f"/networks/{network_name(action.tenant, action.app, action.name)}")
            case CreateContainer():
                return await self._create_container(action)
            case StartContainer():
                return await self._start_container(action)
            case StopContainer():
                seconds = max(action.grace_us // 1_000_000, 1)
                query: Query = {"timeout": seconds}
                path = f"/containers/{action.container}/stop"
                return await self._gone("POST", path, query=query, deadline_s=seconds + 60)
            case UnpauseContainer():
                await self._http.call("POST", f"/containers/{action.container}/unpause")
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
        present = await self._list_networks()
        if any(item.name == network_name(action.tenant, action.app, action.name) for item in present):
            return DONE
        taken = {subnet.subnet for item in present for subnet in item.subnets or []}
        body = network_body(action.tenant, action.app, action.name, internal=action.internal, taken=taken)
        await self._http.call("POST", "/networks/create", body)
        return DONE

    async def _create_container(self, action: CreateContainer) -> Outcome:
        spec = action.spec
        for mount in spec.mounts:
            if mount.kind == "volume":
                await self._ensure_volume(spec.tenant, spec.app, mount.source)
        body = container_body(
            spec, action.spec_digest, action.uid_start, self._files.plan_mounts(spec, action.spec_digest)
        )
        self._files.lay_out(spec, action.spec_digest, action.uid_start)
        try:
            await self._http.call("POST", "/containers/create", body)
        except PodmanRefusal as error:
            if "already in use" not in str(error):
                raise
            # A container of this very name: left half-made by a crash, or already there. The next look tells which.
            if not await self._is_ours(body["name"], spec.id):
                await self._http.call("DELETE", f"/containers/{body['name']}", query={"force": True, "v": False})
                await self._http.call("POST", "/containers/create", body)
        return DONE

    async def _is_ours(self, name: str, instance: InstanceId) -> bool:
        try:
            inspected = await self._http.read(Inspected, f"/containers/{name}/json")
        except PodmanRefusal:
            return False
        return (inspected.config.labels or {}).get(LABEL + "instance") == instance

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
        self._files.lay_out(action.spec, action.spec_digest, action.uid_start)
        await self._http.call("POST", f"/containers/{action.container}/start", deadline_s=_START_S)
        return DONE

    async def _remove_container(self, action: RemoveContainer) -> Outcome:
        try:
            inspected = await self._http.read(Inspected, f"/containers/{action.container}/json")
        except PodmanRefusal as error:
            if error.status == 404:
                return DONE
            raise
        query: Query = {"force": True, "v": False}
        outcome = await self._gone("DELETE", f"/containers/{action.container}", query=query, deadline_s=_START_S)
        if outcome.ok:
            self._files.clear(inspected.name or action.container)
        return outcome

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
        deadline_s = action.check.timeout_us / 1_000_000 + 10
        try:
            answer = await self._http.read(
                HealthAnswer, f"/containers/{action.container}/healthcheck", deadline_s=deadline_s
            )
        except PodmanUnavailable as error:
            return Outcome(ok=True, healthy=False, reason=f"no result within {deadline_s:.0f} s: {error}")
        if answer.status == "healthy":
            return Outcome(ok=True, healthy=True)
        inspected = await self._http.read(Inspected, f"/containers/{action.container}/json")
        last = (inspected.state.health.log or [HealthRun()])[-1]
        reason = f"health check failed with code {last.exit_code}: {last.output.strip()[-200:]}"
        return Outcome(ok=True, healthy=False, reason=reason)

    # --- streams -----------------------------------------------------------------------------------------------------

    async def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncIterator[Chunk]:
        """Stream the container's output."""
        query: Query = {"stdout": True, "stderr": True, "tail": tail, "follow": follow}
        buffer = bytearray()
        try:
            async for piece in self._http.stream("GET", f"/containers/{container}/logs", query=query):
                buffer += piece
                for channel, data in split_frames(buffer):
                    yield Chunk(channel or 1, data)
        except (PodmanUnavailable, PodmanRefusal) as error:
            yield Chunk(2, f"logs ended: {error}\n".encode())

    async def run_command(self, container: str, argv: tuple[str, ...]) -> AsyncIterator[Chunk | Exit]:
        """Run a command inside and stream its output."""
        body = {"AttachStdout": True, "AttachStderr": True, "AttachStdin": False, "Tty": False, "Cmd": list(argv)}
        try:
            made = await self._http.call("POST", f"/containers/{container}/exec", body)
            session = msgspec.json.decode(made, type=ExecMade).id
            buffer = bytearray()
            start = {"Detach": False, "Tty": False}
            async for piece in self._http.stream("POST", f"/exec/{session}/start", start):
                buffer += piece
                for channel, data in split_frames(buffer):
                    yield Chunk(channel or 1, data)
            state = await self._http.read(ExecState, f"/exec/{session}/json")
            yield Exit(state.exit_code)
        except (PodmanUnavailable, PodmanRefusal) as error:
            yield Chunk(2, f"{error}\n".encode())
            yield Exit(126)

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        """Read the use of all running containers once."""
        try:
            answer = await self._http.read(StatsAnswer, "/containers/stats", query={"stream": False})
        except (PodmanUnavailable, PodmanRefusal):
            return ()
        return tuple(
            ContainerStats(
                container=item.container,
                cpu_us=item.cpu_ns // 1000,
                memory_bytes=item.memory,
                received_bytes=item.received,
                sent_bytes=item.sent,
            )
            for item in answer.stats or []
        )


def _bare(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _read_container(item: ContainerItem) -> ContainerSeen | None:
    labels = item.labels or {}
    parts = labels.get(LABEL + "instance", "").split("/")
    if len(parts) != 4 or not parts[3].isdigit():
        return None
    state = _STATES.get(item.state, "exited")
    spec = Digest(labels.get(LABEL + "spec", ""))
    if state in ("running", "paused") and not _alive(item.pid):
        # conmon was killed: podman would say "running" for ever, and only removal by force helps (decision 0010).
        state, spec = "exited", Digest("")
    return ContainerSeen(
        container=item.id,
        instance=InstanceId(labels[LABEL + "instance"]),
        tenant=TenantName(parts[0]),
        app=AppName(parts[1]),
        service=ServiceName(parts[2]),
        ordinal=int(parts[3]),
        spec=spec,
        image_config=Digest(f"sha256:{item.image_id}"),
        state=state,
        volumes=tuple(VolumeName(name) for name in labels.get(LABEL + "volumes", "").split(",") if name),
        exit_code=item.exit_code,
        started_us=max(item.started_at, 0) * 1_000_000,
    )


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - a number, no path
            return stat.read().rsplit(")", 1)[-1].split()[0] != "Z"
    except OSError:
        return False


def _read_network(item: NetworkItem) -> NetworkSeen | None:
    labels = item.labels or {}
    if LABEL + "network" not in labels:
        return None
    return NetworkSeen(
        tenant=TenantName(labels[LABEL + "tenant"]),
        app=AppName(labels[LABEL + "app"]),
        name=NetworkName(labels[LABEL + "network"]),
        internal=item.internal,
    )


def _read_image(item: ImageItem) -> ImageSeen | None:
    for name in item.repo_tags or []:
        head, _, digits = name.rpartition(":")
        if head == "localhost/skerry/image":
            return ImageSeen(Digest(f"sha256:{digits}"), Digest(f"sha256:{item.id}"), item.size)
    return None


def _code_of(message: str) -> str:
    if "address already in use" in message:
        return "E-PORT-IN-USE"
    if "no space left" in message or "disk quota" in message:
        return "E-DISK-FULL"
    return "E-RUNTIME"
