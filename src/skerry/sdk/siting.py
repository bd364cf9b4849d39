"""Making sites and changing their records, as steps: the operator's signer signs them, the core only keeps them."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from skerry.model.answers import CoreIdentity, JoinTokenView, Page, ProfileDetail, Recorded
from skerry.model.asks import CreateJoinToken, SiteQuery
from skerry.model.errors import Conflict, NotFound, Refused
from skerry.model.grants import Profile
from skerry.model.ids import NodeName, SiteName, TenantName, is_name
from skerry.model.selector import matches, parse_selector
from skerry.model.signed import Envelope, RoleKeys, SiteRecord
from skerry.model.signing import Minted, MintToken, ReadStatus, SignerStatus, SignSite
from skerry.model.site_match import site_labels
from skerry.model.site_relay import SiteRelay, find_relay_flaw
from skerry.model.uplinks import Uplink, find_uplinks_flaw
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Steps, ask_signer, collect, send, sign
from skerry.sdk.verifying import read_record


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """How a box joins: once, with ``token``, or by pasting ``command`` on it."""

    site: SiteName
    token: str
    #: Where the box finds the core: ``host:port``, comma-separated.
    core: str
    command: str


class Granting(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a profile: where it was signed anew, where it was taken away, and where it holds now."""

    given: tuple[SiteName, ...]
    taken: tuple[SiteName, ...]
    standing: tuple[SiteName, ...]


def add_site(wanted: SignSite, lifetime_s: int) -> Steps[Joining]:
    """Make a site and a join token for its first box."""
    if not is_name(wanted.site):
        raise Refused("E-NAME", f"{wanted.site!r} is no name for a site: use a-z, 0-9 and -, at most 63.")
    try:
        yield from _put_site(wanted, 0)
    except Refused as error:
        if error.code != "E-STALE" or isinstance(error, Conflict):
            raise
        # The signer has signed later records of it. Making it again as it was at first is no mistake.
        detail = f"Site {wanted.site} is there already, and has changed since it was made."
        raise Conflict("E-STALE", detail, hint=f"skerry site show {wanted.site}") from error
    return (yield from mint_token(wanted.site, lifetime_s))


def mint_token(site: SiteName, lifetime_s: int) -> Steps[Joining]:
    """Mint a join token and let the core admit it."""
    minted = yield from ask_signer(MintToken(site=site, lifetime_s=lifetime_s), Minted)
    body = CreateJoinToken(token_id=minted.token_id, site=site, core_key=minted.core_key, lifetime_s=lifetime_s)
    request: Request[JoinTokenView] = make_request("create_join_token", body=body)
    yield from send(request)
    identity: Request[CoreIdentity] = make_request("show_core")
    core = ",".join((yield from send(identity)).endpoints)
    command = f"skerry agent join {minted.token} --core {core} --site {site}"
    return Joining(site=site, token=minted.token, core=core, command=command)


def read_site(site: str) -> Steps[tuple[SiteRecord, Envelope]]:
    """Return a site's record as the registrar has signed it."""
    request: Request[Envelope] = make_request("read_site_record", parameters={"site": site})
    envelope = yield from send(request)
    status = yield from ask_signer(ReadStatus(), SignerStatus)
    return read_record(envelope, status.root), envelope


def label_site(site: str, changes: Mapping[str, str | None]) -> Steps[bool]:
    """Set labels, and remove those whose value is None; False when all is so already."""
    record, envelope = yield from read_site(site)
    labels = change_labels(record, changes)
    if labels == record.labels:
        return False
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, labels=labels)
    yield from _put_site(wanted, record.number)
    return True


def set_uplink(site: str, name: str, uplink: Uplink) -> Steps[bool]:
    """Have an uplink at a site as it is given; False when it is so already."""
    if not is_name(name):
        raise Refused("E-NAME", f"{name[:80]!r} is no name for an uplink: use a-z, 0-9 and -, at most 63.")
    record, envelope = yield from read_site(site)
    uplinks = {**(record.uplinks or {}), name: uplink}
    flaw = find_uplinks_flaw(uplinks)
    if flaw:
        raise Refused("E-UPLINK", f"{flaw}.", hint=f"skerry uplink list {site}")
    if uplinks == record.uplinks:
        return False
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, uplinks=uplinks)
    yield from _put_site(wanted, record.number)
    return True


def remove_uplink(site: str, name: str) -> Steps[None]:
    """Take an uplink out of a site's record; raises ``NotFound`` for one not there."""
    record, envelope = yield from read_site(site)
    uplinks = dict(record.uplinks or {})
    if uplinks.pop(name, None) is None:
        raise NotFound("E-NOT-FOUND", f"Site {site} has no uplink {name[:80]!r}.", hint=f"skerry uplink list {site}")
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, uplinks=uplinks)
    yield from _put_site(wanted, record.number)


def set_relay(site: str, relay: SiteRelay | None) -> Steps[bool]:
    """Let a site relay for others as it is given, or not at all for None; False when all is so already."""
    flaw = find_relay_flaw(relay) if relay is not None else ""
    if flaw:
        raise Refused("E-RELAY", f"{flaw}.", hint="skerry site relay --help")
    record, envelope = yield from read_site(site)
    if (record.relay or None) == relay:
        return False
    asked = relay or SiteRelay(first=0, last=0)
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, relay=asked)
    yield from _put_site(wanted, record.number)
    return True


def remove_node(site: str, node: str) -> Steps[None]:
    """Take a node out of its site's record. Raise ``Conflict`` for the only one, ``NotFound`` for one not there."""
    record, envelope = yield from read_site(site)
    if node not in record.nodes:
        raise NotFound("E-NOT-FOUND", f"Site {site} has no node {node}.", hint=f"skerry node list --site {site}")
    if len(record.nodes) == 1:
        detail = f"{node} is the only node of {site}: a site without one could run nothing, nor join again by itself."
        raise Conflict("E-IN-USE", detail, hint=f"skerry site remove {site}")
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, remove_nodes=(NodeName(node),))
    yield from _put_site(wanted, record.number)


def admit_tenant(site: str, tenant: TenantName, keys: RoleKeys) -> Steps[bool]:
    """Let a tenant's apps come to a site; False when its keys are admitted there already."""
    record, envelope = yield from read_site(site)
    if record.tenants.get(tenant) == keys:
        return False
    tenants = {**record.tenants, tenant: keys}
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, tenants=tenants)
    yield from _put_site(wanted, record.number)
    return True


def grant_profile(name: str, profile: Profile, sites: Sequence[str]) -> Steps[Granting]:
    """Have a profile at exactly the sites that match any of the selectors ``sites``, or at all without one.

    Each site's record is signed anew where that changes it; a change that was cut short is finished by repeating it.
    """
    wanted = [parse_selector(text) for text in sites]

    def grants(record: SiteRecord) -> bool:
        return not wanted or any(matches(selector, site_labels(record)) for selector in wanted)

    return (yield from _change_profiles(name, lambda record: profile if grants(record) else None))


def find_grants(name: str) -> Steps[tuple[Profile, ...]]:
    """Return what a profile of an operator's grants, once for each way in which sites have it; nothing for none."""
    request: Request[ProfileDetail] = make_request("show_profile", parameters={"profile": name})
    try:
        detail = yield from send(request)
    except NotFound:
        return ()
    return tuple(variant.grants for variant in detail.variants)


def end_profile(name: str) -> Steps[Granting]:
    """Take a profile from every site: nothing is started under it any more, and what runs goes on."""
    return (yield from _change_profiles(name, lambda _: None))


def _change_profiles(name: str, choose: Callable[[SiteRecord], Profile | None]) -> Steps[Granting]:
    listing: Request[Page[Envelope]] = make_request("list_site_records", query=SiteQuery(page_size=1_000))
    status = yield from ask_signer(ReadStatus(), SignerStatus)
    given: list[SiteName] = []
    taken: list[SiteName] = []
    standing: list[SiteName] = []
    for envelope in (yield from collect(listing)):
        record = read_record(envelope, status.root)
        present = record.profiles or {}
        profile = choose(record)
        if profile is not None:
            standing.append(record.site)
        if present.get(name) == profile:
            continue
        others = {each: kept for each, kept in present.items() if each != name}
        profiles = others if profile is None else {**others, name: profile}
        wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, profiles=profiles)
        yield from _put_site(wanted, record.number)
        (taken if profile is None else given).append(record.site)
    return Granting(given=tuple(given), taken=tuple(taken), standing=tuple(standing))


def change_labels(record: SiteRecord, changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return a site's labels as they would be after the changes."""
    merged = {**record.labels, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _put_site(wanted: SignSite, expect: int) -> Steps[Recorded]:
    envelope = yield from sign(wanted)
    request: Request[Recorded] = make_request(
        "put_site", parameters={"site": wanted.site}, body=envelope, expect=expect
    )
    try:
        return (yield from send(request))
    except Conflict as error:
        raise Conflict(
            error.code, f"Site {wanted.site} has been changed meanwhile, or is there already.", hint="skerry site list"
        ) from error
