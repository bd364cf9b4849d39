"""Signing and handing in: revisions and tombstones, each on top of the number that was read.

The client picks the next number, the signer signs, the core confirms; a number that moved meanwhile is a ``Conflict``
and nothing has changed (interfaces.md §1.1).
"""

from skerry.model.answers import Applied, AppSummary
from skerry.model.app import AppRevision, Sites
from skerry.model.errors import Conflict, NotFound
from skerry.model.ids import AppName, TenantName, VolumeName
from skerry.model.signed import Tombstone
from skerry.sdk.client import Client
from skerry.sdk.signing import SignerClient
from skerry.trust.envelope import encode_payload


def read_number(client: Client, app: str) -> int:
    """Return the newest number of an app's line; 0 for an app that never was."""
    try:
        return client.apps.show(app).summary.number
    except NotFound:
        return 0


def put_revision(client: Client, signer: SignerClient, revision: AppRevision, plan: str = "") -> Applied:
    """Sign a revision and hand it in on top of the number before it; raises ``Conflict`` when that one moved."""
    envelope = signer.sign_revision(encode_payload(revision))
    try:
        return client.apps.put(revision.app, envelope, expect=revision.number - 1, plan=plan)
    except Conflict as error:
        raise _explain(error, f"App {revision.app} has changed since it was read.") from error


def put_tombstone(
    client: Client,
    signer: SignerClient,
    app: AppSummary,
    tenant: TenantName,
    *,
    ends_app: bool,
    volumes: tuple[VolumeName, ...],
    sites: tuple[str, ...] = (),
    grace_us: int = 0,
) -> Applied:
    """Sign a tombstone and hand it in: it ends the app, or permits the deletion of volumes, or both."""
    stone = Tombstone(
        tenant=tenant,
        app=AppName(app.app),
        number=app.number + 1,
        ends_app=ends_app,
        volumes=volumes,
        sites=Sites(names=sites),
        grace_us=grace_us,
    )
    envelope = signer.sign_tombstone(encode_payload(stone))
    try:
        return client.apps.put_tombstone(app.app, envelope, expect=app.number)
    except Conflict as error:
        raise _explain(error, f"App {app.app} has changed since it was read.") from error


def _explain(error: Conflict, what: str) -> Conflict:
    """Say a stale number in the person's words; a conflict of meaning keeps its own."""
    if error.status != 412:
        return error
    told = Conflict(
        error.code, f"{what} {error.detail}", hint="Look at it again, then repeat.", problems=error.problems
    )
    told.status, told.number, told.cause = error.status, error.number, error.cause
    return told
