"""Who has which host name, path and port at a site's entrance, and with which certificate. Pure.

A host name belongs to one tenant of a site, a place (host and path, TCP port, UDP port) to one service. Who holds one
keeps it; of several who ask at once the first by name has it, and the others are told so, but not who that is.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision, Service, Sites
from skerry.model.chain import Chain
from skerry.model.document import Assignment
from skerry.model.entrance import HTTP_PORT, HTTPS_PORT, Entrance
from skerry.model.ids import Digest, InstanceId, SecretName, TenantName, UnitId
from skerry.model.observed import CertificatesSeen, EntranceSeen
from skerry.model.policy import SecretPolicy
from skerry.model.signed import SiteRecord
from skerry.model.site_match import site_unmet
from skerry.plan.certificates import judge_certificate
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import HeldSite

#: Tenant, app and service.
Owner = tuple[str, str, str]


class Claim(msgspec.Struct, frozen=True):
    """What a service is given."""

    owner: Owner
    entrance: Entrance
    #: Version of its certificate; empty for none, and while the site has not got one.
    certificate: Digest = Digest("")
    #: Page that a healthy copy answers; empty where it is enough that it takes a connection.
    page: str = ""
    #: The networks that its copies are in.
    networks: tuple[str, ...] = ()
    #: A chain of its app lies between them and the outside.
    chained: bool = False
    #: What is wrong with its certificate; its place is given all the same.
    flaw: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Who is given what, and who is not and why."""

    claims: tuple[Claim, ...] = ()
    refused: dict[Owner, str] = {}
    #: Instances that publish a port which the entrance has, each with the reason.
    portless: dict[InstanceId, str] = {}
    #: Services that keep what they have, although their wishes cannot be followed now.
    lingering: frozenset[Owner] = frozenset()


def find_certificates(
    revision: AppRevision, service: Service, record: SiteRecord, held: Mapping[SecretName, Digest]
) -> dict[str, tuple[Digest, int]]:
    """Return a service's certificates that may be shown at this site, by the revision's names: version and limit.

    The limit is in microseconds: a site that is cut off for longer does not begin to show it; 0 for none.
    """
    found: dict[str, tuple[Digest, int]] = {}
    for source in {each.secret for each in service.entrance or () if each.secret} & revision.secrets.keys():
        use = revision.secrets[source]
        policy = use.policy or SecretPolicy()
        if use.name in held and not site_unmet(Sites(match=policy.sites), record):
            found[source] = held[use.name], policy.max_offline_us
    return found


def find_lingering(held: HeldSite, refused: Iterable[UnitId]) -> list[Claim]:
    """Return what services keep at whose wishes the site cannot follow now: what they had running runs on."""
    secrets: dict[TenantName, dict[SecretName, Digest]] = {}
    for (tenant, name), version in held.secrets.items():
        secrets.setdefault(tenant, {})[name] = version
    found: dict[tuple[Owner, str], Claim] = {}
    for name in sorted(refused):
        unit = held.units[name]
        revision = held.revisions.get(unit.revision) if isinstance(unit, Assignment) else None
        if revision is None or not isinstance(unit, Assignment) or unit.service not in revision.services:
            continue
        service, owner = revision.services[unit.service], (unit.tenant, unit.app, unit.service)
        shown = find_certificates(revision, service, held.record, secrets.get(unit.tenant, {}))
        for one in service.entrance or ():
            certificate = shown.get(one.secret, (Digest(""), 0))[0]
            networks = tuple(sorted(service.networks))
            chained = _is_chained(revision.chains or (), unit.service, networks)
            found[owner, one.place] = Claim(owner, one, certificate, networks=networks, chained=chained)
    return list(found.values())


def settle_entrance(
    wanted: Mapping[InstanceId, Wanted],
    seen: EntranceSeen | None,
    certificates: CertificatesSeen | None = None,
    site: str = "",
    away_us: int = 0,
    lingering: Iterable[Claim] = (),
) -> Settled:
    """Give places to services; ``away_us`` is how long the parent has been away, 0 while it is heard.

    ``lingering`` is what services keep of which nothing is wanted here that can be followed.
    """
    seen = seen or EntranceSeen()
    newest: dict[Owner, Wanted] = {}
    for item in wanted.values():
        owner = owner_of(item)
        if item.entrance and (owner not in newest or newest[owner].number < item.number):
            newest[owner] = item
    refused: dict[Owner, str] = {}
    claims = [claim for owner in sorted(newest) for claim in _claim(owner, newest[owner], refused, seen, away_us)]
    claims += [claim for claim in lingering if claim.owner not in newest and _holds(claim, seen)]
    claims = [_certify(claim, certificates, site) for claim in _give(claims, seen, refused)]
    published = _list_published(wanted)
    portless: dict[InstanceId, str] = {}
    kept: list[Claim] = []
    for claim in claims:
        taken = sorted(_list_needs(claim.entrance) & published.keys())
        lost = [each for each in taken if not _is_held(each, seen)]
        if lost:
            refused[claim.owner] = f"port {lost[0][1]} of the node is published by an instance here"
            continue
        for protocol, port in taken:
            reason = f"port {port}/{protocol} of the node belongs to the site's entrance"
            portless |= dict.fromkeys(published[protocol, port], reason)
        kept.append(claim)
    left = frozenset(claim.owner for claim in kept if claim.owner not in newest)
    return Settled(claims=tuple(kept), refused=refused, portless=portless, lingering=left)


def owner_of(item: Wanted) -> Owner:
    """Name the service of an assignment."""
    return item.assignment.tenant, item.assignment.app, item.assignment.service


def _claim(owner: Owner, item: Wanted, refused: dict[Owner, str], seen: EntranceSeen, away_us: int) -> list[Claim]:
    spec = item.derived.spec
    probe = spec.healthcheck.probe if spec.healthcheck is not None else None
    found: list[Claim] = []
    networks = tuple(sorted(spec.networks))
    chained = _is_chained(item.chains, spec.service, networks)
    for each in item.entrance:
        certificate, limit_us = item.certificates.get(each.secret, (Digest(""), 0))
        why = ""
        if each.secret and not certificate:
            why = "is not sealed for this site"
        elif limit_us and away_us >= limit_us and seen.shown.get(each.host) != certificate:
            # As with secrets of instances, what is shown stays: only the beginning waits (secrets.py).
            why = "is not given out by a site cut off for so long"
        if why:
            refused[owner] = f"the certificate of {each.host} (secret {each.secret}) {why}"
            continue
        page = probe.path if probe and probe.port == each.port else ""
        found.append(Claim(owner, each, certificate, page, networks, chained))
    return found


def _is_chained(chains: Iterable[Chain], service: str, networks: Collection[str]) -> bool:
    """Say whether what comes to a service from outside is to pass the steps of a chain."""
    for chain in chains:
        kinds = {chain.start.kind: chain.start.name, chain.end.kind: chain.end.name}
        if "uplink" in kinds and (kinds.get("service") == service or kinds.get("network") in networks):
            return True
    return False


def _certify(claim: Claim, seen: CertificatesSeen | None, site: str) -> Claim:
    """Add the certificate that the site got for itself, or why there is none."""
    if claim.entrance.tls != "acme":
        return claim
    standing = judge_certificate(claim.entrance.host, seen, site)
    return msgspec.structs.replace(claim, certificate=standing.version, flaw=standing.why)


def _give(claims: list[Claim], seen: EntranceSeen, refused: dict[Owner, str]) -> list[Claim]:
    """Leave of the claims those that are granted, in an order that follows from them alone."""
    tenants: dict[str, str] = {}
    owners: dict[str, Owner] = {}
    kinds: dict[int, str] = {}
    for claim in sorted(claims, key=lambda claim: (not _holds(claim, seen), claim.owner, claim.entrance.place)):
        one = claim.entrance
        kind = "host names" if one.host else one.place
        if one.host and tenants.setdefault(one.host, claim.owner[0]) != claim.owner[0]:
            refused[claim.owner] = f"{one.host} is given to another tenant of this site"
        elif owners.setdefault(one.place, claim.owner) != claim.owner:
            refused[claim.owner] = f"{one.place.removeprefix('http/')} is given to another service at this site"
        elif any(kinds.get(port, kind) != kind for port in one.listens):
            refused[claim.owner] = "its port of the node is given to something else of the entrance here"
        else:
            kinds |= dict.fromkeys(one.listens, kind)
            continue
        if owners.get(one.place) == claim.owner:
            del owners[one.place]
    return [claim for claim in claims if owners.get(claim.entrance.place) == claim.owner]


def _holds(claim: Claim, seen: EntranceSeen) -> bool:
    return seen.holders.get(claim.entrance.place) == "/".join(claim.owner)


def _list_published(wanted: Mapping[InstanceId, Wanted]) -> dict[tuple[str, int], list[InstanceId]]:
    found: dict[tuple[str, int], list[InstanceId]] = {}
    for name in sorted(wanted):
        for port in wanted[name].derived.spec.ports:
            if port.published:
                found.setdefault((port.protocol, port.published), []).append(name)
    return found


def _list_needs(one: Entrance) -> set[tuple[str, int]]:
    return {("udp", one.udp)} if one.udp else {("tcp", port) for port in one.listens}


def _is_held(need: tuple[str, int], seen: EntranceSeen) -> bool:
    """Say whether the entrance has that port already."""
    protocol, port = need
    if protocol == "tcp" and port in (HTTP_PORT, HTTPS_PORT):
        return any(place.startswith("http/") for place in seen.holders)
    return f"{protocol}/{port}" in seen.holders
