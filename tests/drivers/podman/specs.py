"""One instance whose every field says something."""

from skerry.model.app import FileMount, HealthCheck, Mount, Port, Resources, Restart, Ulimit
from skerry.model.ids import AppName, NetworkName, ServiceName, TenantName, digest_of
from skerry.model.instance import InlineFile, InstanceSpec, SecretFile, spec_digest

SPEC = InstanceSpec(
    tenant=TenantName("alpha"),
    app=AppName("shop"),
    service=ServiceName("web"),
    ordinal=0,
    image=digest_of(b"image"),
    image_config=digest_of(b"config"),
    image_size_bytes=1,
)
DIGEST = spec_digest(SPEC)

FULL = InstanceSpec(
    tenant=TenantName("alpha"),
    app=AppName("shop"),
    service=ServiceName("web"),
    ordinal=2,
    image=digest_of(b"image"),
    image_config=digest_of(b"config"),
    image_size_bytes=1,
    command=("serve", "--all"),
    entrypoint=("/bin/app",),
    environment={"A": "b=c"},
    working_dir="/srv",
    user="1000:1000",
    group_add=("44",),
    hostname="till",
    domainname="shop.example",
    labels={"role": "front", "dev.skerry.instance": "forged/by/tenant/0"},
    init=True,
    tty=True,
    stdin_open=True,
    read_only=True,
    cap_add=("CAP_SYS_NICE",),
    cap_drop=("net_raw",),
    stop_signal="SIGRTMIN+3",
    stop_grace_us=7_000_000,
    mounts=(
        Mount(kind="volume", source="data", target="/data"),
        Mount(kind="volume", source="old", target="/old", read_only=True),
        Mount(kind="tmpfs", target="/tmp", size_bytes=65536),
    ),
    files=(InlineFile(FileMount(source="conf", target="/etc/app.conf"), b"x"),),
    secrets=(SecretFile(FileMount(source="key", target="/run/secrets/key"), "till-key", digest_of(b"v1")),),
    ports=(
        Port(target=80, published=8080, host_ip="127.0.0.1"),
        Port(target=53, published=53, protocol="udp"),
        Port(target=9),
    ),
    networks={NetworkName("default"): (), NetworkName("back"): ("ledger",)},
    extra_hosts=("bank:192.0.2.7",),
    dns=("192.0.2.53",),
    healthcheck=HealthCheck(test=("CMD", "/bin/well"), timeout_us=3_000_000, interval_us=9_000_000),
    depends_on={ServiceName("db"): "healthy"},
    restart=Restart(policy="always"),
    limits=Resources(cpu_m=1500, memory_bytes=64 << 20, pids=50),
    shm_bytes=1 << 20,
    ulimits=(Ulimit(name="nofile", soft=100, hard=200),),
    sysctls={"net.core.somaxconn": "1024"},
    restart_counter=3,
)
