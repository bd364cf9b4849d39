"""An app of two services at two sites, and views of nodes that a test changes one thing of."""

from typing import Any

import msgspec

from skerry.model.app import AppRevision, ImageRef, Network, NetworkWords, Port, Service
from skerry.model.document import Assignment, NetworkMember, NetworkPart, Peer
from skerry.model.facts import InstanceFact
from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NetworkName,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    digest_of,
)
from skerry.model.network import part_ranges
from skerry.model.trace import InstanceLook, NetworkLook, NodeView, TunnelLook
from skerry.model.uplinks import Uplink
from skerry.plan.trace.ends import End
from skerry.plan.trace.known import Known, Placed, Standing, expect_view
from skerry.plan.trace.packet import Told
from skerry.plan.trace.way import Trace, Way, choose_place, trace_way
from skerry.plan.trace.wish import Wish

TENANT, APP, MESH = TenantName("default"), AppName("shop"), NetworkName("mesh")
_IMAGE = ImageRef(name="web:1", digest=digest_of(b"i"), config=digest_of(b"c"), size_bytes=1)
SHOP = AppRevision(
    tenant=TENANT,
    app=APP,
    number=4,
    source=digest_of(b"m"),
    services={
        ServiceName("web"): Service(image=_IMAGE, networks={MESH: ()}),
        ServiceName("db"): Service(image=_IMAGE, networks={MESH: ()}, ports=(Port(target=5432),)),
    },
    networks={MESH: Network(words=NetworkWords(kind="overlay", scope="app"))},
)
_SITES = ("oslo", "rome")


def end(
    app: str = "", service: str = "", site: str = "", *, address: str = "", host: str = "", device: str = ""
) -> End:
    """Return an end as ``read_end`` would."""
    kind = "device" if device else "entrance" if host else "instance" if app else "site" if site else "outside"
    text = host or (f"{app}/{service}" if app else site or address or "internet")
    return End(
        kind=kind,
        text=text,
        app=AppName(app),
        service=ServiceName(service),
        site=SiteName(site),
        address=address,
        host=host,
        device=device,
    )


class Scene:
    """Both services at both sites; a word names the service that something is wrong with."""

    def __init__(self, revision: AppRevision = SHOP, ports: dict[str, int] | None = None, **wrong: str) -> None:
        self.revisions = {revision.app: revision}
        self.placed: list[Placed] = []
        self.told: dict[str, Told] = {}
        self.asked: set[str] = set(_SITES)
        parts = {site: NetworkPart(TENANT, APP, MESH, index) for index, site in enumerate(_SITES)}
        members = {site: NetworkMember(TENANT, APP, MESH, SiteName(site), index) for index, site in enumerate(_SITES)}
        self.units: dict[SiteName, Any] = {}
        for site, other in (_SITES, _SITES[::-1]):
            peer = Peer(SiteName(other), Digest("sha256:r"), (), ("192.0.2.9:51820",))
            self.units[SiteName(site)] = (parts[site], members[other], peer)
            near, far = part_ranges(parts[site]), part_ranges(members[other])
            here, there = ((str(each.v4), str(each.v6)) for each in (near, far))
            looks: list[InstanceLook] = []
            for number, service in enumerate(sorted(revision.services)):
                self._place(revision, service, site, ports or {}, wrong)
                if (wrong.get("silent"), wrong.get("unplaced")) == (None, None) or service not in wrong.values():
                    state = "exited" if wrong.get("exited") == service else "running"
                    phase, reason = _phase(service, wrong)
                    networks = revision.services[ServiceName(service)].networks
                    address = {name: (str(near.v4[number + 2]),) for name in networks}
                    looks.append(InstanceLook(_name(revision, service), state, phase, reason, address))
            view = NodeView(
                SiteName(site),
                NodeName("n1"),
                "in force",
                networks=(NetworkLook(MESH, revision.networks[MESH].internal, here, here, there),),
                instances=tuple(looks),
                tunnels=(TunnelLook(True, there, "192.0.2.9:51820", False, 5, False),),
            )
            self.told[site] = Told(view, "the node n1 itself")

    def _place(
        self, revision: AppRevision, service: str, site: str, ports: dict[str, int], wrong: dict[str, str]
    ) -> None:
        if wrong.get("unplaced") != service:
            phase, reason = _phase(service, wrong)
            hold = wrong.get("hold") == service
            self.add(revision, service, site, phase=phase, reason=reason, ports=ports, state="hold" if hold else "run")

    def add(
        self, revision: AppRevision, service: str, site: str, *, phase: str = "ready", state: str = "run", **said: Any
    ) -> None:
        """Place a further instance."""
        self.revisions[revision.app] = revision
        unit = Assignment(
            tenant=revision.tenant,
            app=revision.app,
            service=ServiceName(service),
            ordinal=0,
            node=NodeName("n1"),
            revision=Digest("sha256:x"),
            state=state,  # type: ignore[arg-type]
        )
        fact = InstanceFact(
            instance=_name(revision, service),
            node=NodeName("n1"),
            revision=Digest("sha256:x"),
            number=1,
            phase=phase,  # type: ignore[arg-type]
            **said,
        )
        self.placed.append(Placed(SiteName(site), unit, fact))
        told = self.told.get(site)
        if told is not None:
            look = InstanceLook(_name(revision, service), "running", phase, "")
            view = msgspec.structs.replace(told.view, instances=(*told.view.instances, look))
            self.told[site] = msgspec.structs.replace(told, view=view)

    def without(self, site: str) -> "Scene":
        """Let a site not answer."""
        self.asked.discard(site)
        return self

    def change(self, site: str, **values: Any) -> None:
        """Let a site say something else."""
        told = self.told[site]
        self.told[site] = msgspec.structs.replace(told, view=msgspec.structs.replace(told.view, **values))

    def known(self) -> Known:
        """Return what the core knows."""
        uplinks = {"fibre": Uplink(device="eth0")}
        return Known(
            revisions=self.revisions,
            placed=tuple(self.placed),
            sites={SiteName(site): Standing(state="online", heard_s=7, uplinks=uplinks) for site in _SITES},
            units=self.units,
        )

    def trace(self, start: str | End, to: str | End, *, port: int = 0) -> Trace:
        """Trace between ends, those of ``shop`` written as ``service@site``."""
        ends = [end("shop", *text.split("@")) if isinstance(text, str) else text for text in (start, to)]
        known = self.known()
        way = Way(
            start=ends[0],
            end=ends[1],
            start_at=choose_place(known, ends[0]),
            end_at=choose_place(known, ends[1]),
            wish=Wish("tcp", port),
        )
        revision = self.revisions[APP]
        told = {
            SiteName(site): self.told[site]
            if site in self.asked
            else expect_view(known, revision, SiteName(site), other)
            for site, other in (_SITES, _SITES[::-1])
        }
        return trace_way(way, known, told)


def _name(revision: AppRevision, service: str) -> InstanceId:
    return InstanceId(f"{revision.tenant}/{revision.app}/{service}/0")


def _phase(service: str, wrong: dict[str, str]) -> tuple[str, str]:
    if wrong.get("unhealthy") == service:
        return "unhealthy", "its check fails"
    if wrong.get("refused") == service:
        return "refused", "no room"
    return "ready", ""
