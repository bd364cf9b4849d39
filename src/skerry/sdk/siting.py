"""Making sites and changing their records, as steps: the operator's signer signs them, the core only keeps them."""

from collections.abc import Mapping

import msgspec

from skerry.model.answers import CoreIdentity, JoinTokenView, Recorded
from skerry.model.asks import CreateJoinToken
from skerry.model.errors import Conflict, Refused
from skerry.model.ids import SiteName, TenantName, is_name
from skerry.model.signed import Envelope, RoleKeys, SiteRecord
from skerry.model.signing import Minted, MintToken, ReadStatus, SignerStatus, SignSite
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Steps, ask_signer, send, sign
from skerry.sdk.verifying import read_record


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """How a box joins: once, with ``token``, or by pasting ``command`` on it."""

    site: SiteName
    token: str
    #: Where the box finds the core: ``host:port``, comma-separated.
    core: str
    command: str


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


def admit_tenant(site: str, tenant: TenantName, keys: RoleKeys) -> Steps[bool]:
    """Let a tenant's apps come to a site; False when its keys are admitted there already."""
    record, envelope = yield from read_site(site)
    if record.tenants.get(tenant) == keys:
        return False
    tenants = {**record.tenants, tenant: keys}
    wanted = SignSite(site=record.site, number=record.number + 1, base=envelope, tenants=tenants)
    yield from _put_site(wanted, record.number)
    return True


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
