"""An agent of a lab's site without a core: joins by itself, holds one signed app, and runs until it is killed.

``python -m tests.e2e.agent_probe STATE RUN SOCKET RESTARTS`` with a service of the tiny image for each of RESTARTS, its
restart policy, comma-separated: each with a volume and a health check, and a published port 18000 + n. A second start
finds everything in the journal.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from tests.e2e.archive_source import ArchiveSource
from tests.e2e.tiny_image import tiny_image
from tests.trust import people

from skerry.agent import journal
from skerry.agent.host import AgentConfig, AgentHost
from skerry.clock import SystemClock, SystemMint
from skerry.model.app import AppRevision, HealthCheck, Mount, Placement, Port, Replicas, Restart, Service
from skerry.model.document import Assignment
from skerry.model.ids import Digest, NetworkName, ServiceName, VolumeName
from skerry.model.volume import Volume
from skerry.trust.x509 import make_delivery_ca
from skerry.wire import DocumentPatch


def make_app(source: ArchiveSource, restarts: list[str]) -> AppRevision:
    image = source.add(tiny_image("probe:1"))
    return AppRevision(
        tenant=people.ALPHA,
        app=people.SHOP,
        number=1,
        source=Digest("sha256:" + "0" * 64),
        services={
            ServiceName(f"s{number}"): Service(
                image=image,
                networks={NetworkName("default"): ()},
                ports=(Port(target=8080, published=18000 + number),),
                mounts=(Mount(kind="volume", source=f"v{number}", target="/data"),),
                healthcheck=HealthCheck(test=("CMD", "/bin/busybox", "true")),
                restart=Restart(policy=restart),
                stop_grace_us=1_000_000,
                placement=Placement(replicas=Replicas(per_site=1)),
            )
            for number, restart in enumerate(restarts)
        },
        volumes={VolumeName(f"v{number}"): Volume() for number in range(len(restarts))},
        networks={},
    )


async def serve(state: Path, run: Path, socket: str, restarts: list[str]) -> None:
    source = ArchiveSource()
    app = make_app(source, restarts)
    config = AgentConfig(state=state, run=run, podman_socket=socket, node=people.NODE)
    host = AgentHost(config, SystemClock(), SystemMint(), source)
    ready = asyncio.Event()
    running = asyncio.create_task(host.run(ready.set))
    await ready.wait()
    agent = host.agent
    if not agent.joined.is_set():
        record = people.sign("site", people.make_record(), people.REGISTRAR)
        authority = make_delivery_ca(people.seed("delivery ca")).certificate_der
        plain = msgspec.structs.replace(people.make_root(), delivery_ca=authority, endpoints=("10.99.0.1:4443",))
        root = people.sign("root", plain, people.ROOT)
        assert await agent.adopt_identity(journal.Identity(people.SITE, people.NODE, root, record)) is None
        revision = people.sign("revision", app, people.DEPLOY[people.ALPHA])
        units = [
            Assignment(
                tenant=app.tenant,
                app=app.app,
                service=name,
                ordinal=0,
                node=people.NODE,
                revision=people.name(revision),
            )
            for name in app.services
        ]
        bodies = people.pack(units)
        patch = DocumentPatch(people.make_head(bodies, 1), 0, 0, bodies, (), (revision,))
        verdict = await agent.accept_document(patch, ())
        assert verdict.state == "accepted", verdict
    await running


if __name__ == "__main__":
    state, run, socket, restarts = sys.argv[1:]
    asyncio.run(serve(Path(state), Path(run), socket, restarts.split(",")))
