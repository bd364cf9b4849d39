"""As much of podman's answers as the driver reads; everything else in them is ignored."""

import msgspec


class ContainerItem(msgspec.Struct, rename="pascal"):
    """One row of the container list."""

    id: str = msgspec.field(name="Id")
    state: str = ""
    names: list[str] | None = None
    labels: dict[str, str] | None = None
    #: Those that podman itself made for it.
    networks: list[str] | None = None
    image_id: str = msgspec.field(name="ImageID", default="")
    pid: int = 0
    exit_code: int = 0
    #: Seconds since 1970.
    started_at: int = 0


class StoreItem(msgspec.Struct, rename="camel"):
    """Where and how the service stores containers."""

    graph_driver_name: str = ""
    graph_root: str = ""


class InfoItem(msgspec.Struct):
    """What the service says of itself."""

    store: StoreItem = msgspec.field(default_factory=StoreItem)


class SubnetItem(msgspec.Struct):
    """One subnet of a network."""

    subnet: str = ""
    gateway: str = ""


class NetworkItem(msgspec.Struct):
    """One row of the network list."""

    name: str
    labels: dict[str, str] | None = None
    internal: bool = False
    subnets: list[SubnetItem] | None = None


class ImageItem(msgspec.Struct, rename="pascal"):
    """One row of the image list."""

    id: str
    size: int = 0
    repo_tags: list[str] | None = None


class HealthRun(msgspec.Struct, rename="pascal"):
    """One run of a health command."""

    exit_code: int = -1
    output: str = ""


class HealthAnswer(msgspec.Struct, rename="pascal"):
    """Result of a health check; ``log`` only when a container is inspected, last run last."""

    status: str = ""
    log: list[HealthRun] | None = None


class StatePart(msgspec.Struct, rename="pascal"):
    """State of an inspected container."""

    health: HealthAnswer = msgspec.field(default_factory=HealthAnswer)
    running: bool = False
    #: 0 where there is no process.
    pid: int = 0
    #: Who watches it.
    conmon_pid: int = 0


class AddressItem(msgspec.Struct):
    """One network of an inspected container."""

    ip: str = msgspec.field(name="IPAddress", default="")
    ip6: str = msgspec.field(name="GlobalIPv6Address", default="")
    mac: str = msgspec.field(name="MacAddress", default="")


class NetworkSettings(msgspec.Struct, rename="pascal"):
    """Networks of an inspected container."""

    networks: dict[str, AddressItem] | None = None


class HealthCommand(msgspec.Struct, rename="pascal"):
    """The health command of an inspected container."""

    test: list[str] | None = None

    @property
    def argv(self) -> list[str]:
        """The command that podman runs for it."""
        kind, *words = self.test or [""]
        return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


class ConfigPart(msgspec.Struct, rename="pascal"):
    """Configuration of an inspected container or image."""

    labels: dict[str, str] | None = None
    #: Folders that an image declares as volumes.
    volumes: dict[str, dict[str, str]] | None = None
    healthcheck: HealthCommand | None = None
    #: Seconds that a container has to stop; podman's own default where it was made without.
    stop_timeout: int = 10


class InspectedImage(msgspec.Struct, rename="pascal"):
    """One image, looked at closely."""

    config: ConfigPart = msgspec.field(default_factory=ConfigPart)


class Inspected(msgspec.Struct, rename="pascal"):
    """One container, looked at closely."""

    name: str = ""
    state: StatePart = msgspec.field(default_factory=StatePart)
    config: ConfigPart = msgspec.field(default_factory=ConfigPart)
    network_settings: NetworkSettings = msgspec.field(default_factory=NetworkSettings)
    #: Commands under way inside, health checks among them.
    exec_ids: list[str] | None = msgspec.field(name="ExecIDs", default=None)


class ExecMade(msgspec.Struct, rename="pascal"):
    """A prepared command."""

    id: str


class ProcessPart(msgspec.Struct):
    """What a command runs."""

    entrypoint: str = ""
    arguments: list[str] | None = None

    @property
    def argv(self) -> list[str]:
        """The command as one list."""
        return [self.entrypoint, *(self.arguments or [])]


class ExecState(msgspec.Struct, rename="pascal"):
    """A command that has run, or runs."""

    exit_code: int = 0
    #: False for health checks also while they run.
    running: bool = False
    #: 0 where there is no process.
    pid: int = 0
    process: ProcessPart = msgspec.field(name="ProcessConfig", default_factory=ProcessPart)


class StatsItem(msgspec.Struct):
    """Use of one container."""

    container: str = msgspec.field(name="ContainerID", default="")
    cpu_ns: int = msgspec.field(name="CPUNano", default=0)
    memory: int = msgspec.field(name="MemUsage", default=0)
    received: int = msgspec.field(name="NetInput", default=0)
    sent: int = msgspec.field(name="NetOutput", default=0)
    read: int = msgspec.field(name="BlockInput", default=0)
    written: int = msgspec.field(name="BlockOutput", default=0)


class StatsAnswer(msgspec.Struct, rename="pascal"):
    """Use of all containers."""

    stats: list[StatsItem] | None = None


class ErrorAnswer(msgspec.Struct):
    """podman's words when it says no."""

    message: str = ""
    cause: str = ""
