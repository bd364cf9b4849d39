"""Signing and handing in, as steps: revisions and tombstones, each on top of the number that was read.

The client picks the next number, the signer signs, the core confirms; a number that moved meanwhile is a ``Conflict``
and nothing has changed (interfaces.md §1.1). What a manifest brings the values of is sealed first.
"""

import contextlib
from collections.abc import Mapping

import msgspec

from skerry.manifest.definitions import list_changed, list_wanted
from skerry.manifest.image_health import list_configs
from skerry.manifest.values import Content, Manifest
from skerry.model.answers import AppDetail, Applied, AppSummary, ImageConfigView, ImageView, Page, RevisionSummary
from skerry.model.app import AppRevision, ImageRef, Replicas, Sites
from skerry.model.asks import PageQuery
from skerry.model.errors import Conflict, Invalid, NotFound, Problem, Refused, SkerryError
from skerry.model.ids import AppName, Digest, OperationId, ServiceName, TenantName, VolumeName, digest_of
from skerry.model.limits import REPLICAS_MAX
from skerry.model.signed import Envelope, Tombstone
from skerry.model.signing import (
    KeepAccepted,
    LineState,
    ReadLine,
    ReadStatus,
    SignerStatus,
    SignRevision,
    SignTombstone,
)
from skerry.sdk.defining import Fresh, Name, find_definitions, record_definitions
from skerry.sdk.manifests import find_images, is_same_content, make_revision
from skerry.sdk.requests import Request, make_request
from skerry.sdk.sealing import seal_manifest
from skerry.sdk.steps import Person, Steps, ask_signer, collect, find_tenant, send, sign
from skerry.sdk.verifying import read_revision
from skerry.trust.envelope import encode_payload, kind_of


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What would be signed for a manifest now, and what stands."""

    manifest: Manifest
    revision: AppRevision
    #: The app's current revision, verified; None when it has none.
    current: AppRevision | None = None
    #: Areas and groups of users that stand in the files and are to be recorded first.
    fresh: tuple[Fresh, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether it wishes anything that is not wished already."""
        return self.current is None or not is_same_content(self.revision, self.current)

    @property
    def changed(self) -> tuple[str, ...]:
        """Say in sentences which areas and groups of users have changed since the current revision was signed."""
        return () if self.current is None else list_changed(self.current, self.revision)

    @property
    def payload(self) -> bytes:
        """The bytes that would be signed."""
        return encode_payload(self.revision)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the core recorded; nothing where all was so already."""

    app: AppName
    number: int
    #: Newest event before it: read events after this one.
    event_id: int
    operation: OperationId = OperationId("")
    #: Secrets that got a new version.
    sealed: tuple[str, ...] = ()
    #: Areas and groups of users that got one, in words.
    defined: tuple[str, ...] = ()
    #: Numbers that the core had lost, as one restored from a backup has, and that were handed in again first.
    handed_in: tuple[int, ...] = ()
    applied: Applied | None = None


def draft(person: Person, manifest: Manifest) -> Steps[Draft]:
    """Return what would be signed for a manifest, with what it names put in.

    Raises ``ManifestRefused`` for images, areas and groups of users that are not at the core.
    """
    tenant = yield from find_tenant(person)
    summary = yield from _find_app(manifest.app)
    listing: Request[Page[ImageView]] = make_request("list_images", query=PageQuery(page_size=1_000))
    images = find_images(manifest, (yield from collect(listing)))
    current = None
    if summary is not None and summary.revision:
        current = yield from _read_revision(summary.app, summary.revision, tenant)
    brought: list[tuple[Name, Content]] = [((each.kind, each.name), each.content) for each in manifest.brought]
    found = yield from find_definitions(tenant, list_wanted(manifest), brought, current)
    number = 1 if summary is None else summary.number + 1
    configs = yield from _read_configs(manifest, images)
    revision = make_revision(manifest, tenant, number, images, found.known, configs)
    return Draft(manifest=manifest, revision=revision, current=current, fresh=found.fresh)


def _read_configs(manifest: Manifest, images: Mapping[str, ImageRef]) -> Steps[dict[Digest, bytes]]:
    """Return the configurations of images that may bring a check of health along; raises ``Invalid`` for another one.

    What runs inside an instance is signed by its owner, so a core's word for what an image says is not enough.
    """
    found: dict[Digest, bytes] = {}
    for image in list_configs(manifest.health, images, manifest.images):
        request: Request[ImageConfigView] = make_request("read_image_config", parameters={"digest": image.digest})
        content = (yield from send(request)).content
        if digest_of(content) != image.config:
            detail = f"The core brings another configuration of image {image.name} than {image.config}."
            raise Invalid("E-IMAGE", detail, hint=f"skerry image push ARCHIVE {image.name}")
        found[image.config] = content
    return found


def publish(person: Person, url: str, made: Draft, *, plan: str = "", reseal: bool = False) -> Steps[Outcome]:
    """Make it so: record what is defined, seal what is to be sealed, then sign and hand in the revision.

    Nothing of it is done that is so already.

    With ``plan`` the core is held to that plan: it refuses with ``Conflict`` when the plan no longer stands.
    """
    tenant = yield from find_tenant(person)
    number = made.revision.number - 1
    lost = yield from hand_in_lost(tenant, made.revision.app, number)
    if lost:
        made = yield from draft(person, made.manifest)
    defined = yield from record_definitions(made.fresh)
    sealed = yield from seal_manifest(person, tenant, url, made.manifest, again=reseal)
    if not made.is_new and not plan and not reseal:
        request: Request[AppDetail] = make_request("show_app", parameters={"app": made.revision.app})
        detail = yield from send(request)
        newest = max((int(event.id or 0) for event in detail.events), default=0)
        number = detail.summary.number
        return Outcome(
            app=made.revision.app,
            number=number,
            event_id=newest,
            sealed=tuple(sealed),
            defined=defined,
            handed_in=lost,
        )
    try:
        applied = yield from put_revision(made.revision, plan)
    except Invalid as error:
        if plan and error.code == "E-SUBJECT":
            # The next revision is no longer the planned one, because another came before it or the files changed.
            detail = f"Plan {plan} is not about what would be signed now."
            raise Conflict("E-STALE", detail, hint="Plan again, then apply that plan.") from error
        raise _locate(error, made.manifest) from error
    return msgspec.structs.replace(_conclude(applied, lost, tuple(sealed)), defined=defined)


def roll_back(person: Person, app: str, number: int = 0) -> Steps[Outcome]:
    """Sign an old revision again as a higher one; 0 is the one before the current."""
    tenant = yield from find_tenant(person)
    request: Request[AppDetail] = make_request("show_app", parameters={"app": app})
    present = (yield from send(request)).summary.number
    lost = yield from hand_in_lost(tenant, app, present)
    chosen = yield from choose_revision(app, number)
    old = yield from _read_revision(app, chosen, tenant)
    applied = yield from put_revision(msgspec.structs.replace(old, number=present + len(lost) + 1))
    return _conclude(applied, lost)


def scale(person: Person, app: str, service: str, count: int) -> Steps[Outcome]:
    """Sign the newest revision again with another number of copies of one service, as the next number.

    Copies stay counted as they are: at each site, or in all. All is so already: nothing is signed.
    """
    tenant = yield from find_tenant(person)
    request: Request[AppDetail] = make_request("show_app", parameters={"app": app})
    detail = yield from send(request)
    summary = detail.summary
    if not summary.revision:
        raise NotFound(
            "E-REVISION", f"App {app} has ended: there is nothing to scale.", hint=f"skerry app history {app}"
        )
    lost = yield from hand_in_lost(tenant, app, summary.number)
    newest = lost[-1] if lost else summary.revision
    current = yield from _read_revision(app, newest, tenant)
    wanted = change_replicas(current, service, count)
    if wanted == current:
        known = max((int(event.id or 0) for event in detail.events), default=0)
        return Outcome(app=AppName(app), number=summary.number + len(lost), event_id=known, handed_in=lost)
    applied = yield from put_revision(msgspec.structs.replace(wanted, number=summary.number + len(lost) + 1))
    return _conclude(applied, lost)


def change_replicas(revision: AppRevision, service: str, count: int) -> AppRevision:
    """Return a revision with another number of copies of one service; raises ``NotFound`` and ``Refused``."""
    found = revision.services.get(ServiceName(service))
    if found is None:
        detail = f"App {revision.app} has no service {service!r}."
        raise NotFound("E-NOT-FOUND", detail, hint=f"skerry app show {revision.app}")
    if not 1 <= count <= REPLICAS_MAX:
        detail = f"A service has 1 to {REPLICAS_MAX} copies, not {count}."
        raise Refused("E-RANGE", detail, hint=f"skerry app pause {revision.app}")
    before = found.placement.replicas
    replicas = Replicas(per_site=count) if before.per_site else Replicas(total=count)
    placement = msgspec.structs.replace(found.placement, replicas=replicas)
    changed = msgspec.structs.replace(found, placement=placement)
    return msgspec.structs.replace(revision, services={**revision.services, ServiceName(service): changed})


def choose_revision(app: str, number: int = 0) -> Steps[int]:
    """Return the number of the revision that is meant; raises ``NotFound``."""
    listing: Request[Page[RevisionSummary]] = make_request(
        "list_revisions", parameters={"app": app}, query=PageQuery(page_size=1_000)
    )
    rows = [row for row in (yield from collect(listing)) if row.kind == "revision"]
    if number:
        if number not in {row.number for row in rows}:
            raise NotFound("E-REVISION", f"App {app} has no revision {number}.", hint=f"skerry app history {app}")
        return number
    older = [row.number for row in rows if not row.current]
    if not older:
        raise NotFound("E-REVISION", f"App {app} has no older revision.", hint=f"skerry app history {app}")
    return older[0]


def bury(
    person: Person,
    app: str,
    *,
    ends_app: bool,
    volumes: tuple[VolumeName, ...] = (),
    sites: tuple[str, ...] = (),
    grace_us: int = 0,
) -> Steps[Outcome]:
    """Sign a tombstone and hand it in: it ends the app, or permits the deletion of volumes, or both."""
    tenant = yield from find_tenant(person)
    request: Request[AppDetail] = make_request("show_app", parameters={"app": app})
    number = (yield from send(request)).summary.number
    lost = yield from hand_in_lost(tenant, AppName(app), number)
    number += len(lost)
    stone = Tombstone(
        tenant=tenant,
        app=AppName(app),
        number=number + 1,
        ends_app=ends_app,
        volumes=volumes,
        sites=Sites(names=sites),
        grace_us=grace_us,
    )
    envelope = yield from _sign(app, SignTombstone(payload=encode_payload(stone)))
    return _conclude((yield from _put("delete_app", app, number, envelope)), lost)


def hand_in_lost(tenant: TenantName, app: str, number: int) -> Steps[tuple[int, ...]]:
    """Hand in again what a core that was restored has lost of an app; return the numbers.

    ``number`` is where the core is. The sites may still hold what the core has lost, a deletion above all; another
    object under its number would be a fork that they refuse for good.
    """
    lost: list[int] = []
    while True:
        following = number + len(lost) + 1
        line = yield from ask_signer(ReadLine(tenant=tenant, app=AppName(app), number=following), LineState)
        if line.envelope is None:
            # All is there, or it is so long ago that only the sites still know: the core learns from them.
            return tuple(lost)
        if not lost:
            summary = yield from _find_app(app)
            if (0 if summary is None else summary.number) != number:
                # Nothing is lost: somebody was faster.
                detail = f"App {app} has changed since it was read."
                raise Conflict("E-STALE", detail, hint="Look at it again, then repeat.")
        is_revision = kind_of(line.envelope) == "revision"
        yield from _put("apply_app" if is_revision else "delete_app", app, following - 1, line.envelope)
        lost.append(following)


def put_revision(revision: AppRevision, plan: str = "") -> Steps[Applied]:
    """Sign a revision and hand it in on top of the number before it; raises ``Conflict`` when that one moved."""
    envelope = yield from _sign(revision.app, SignRevision(payload=encode_payload(revision)))
    return (yield from _put("apply_app", revision.app, revision.number - 1, envelope, plan))


def _sign(app: str, ask: SignRevision | SignTombstone) -> Steps[Envelope]:
    """Have the next number of an app signed; raises ``Conflict`` where another one got it since it was read."""
    try:
        return (yield from sign(ask))
    except Refused as error:
        if error.code != "E-FORK":
            raise
        # What the core had lost was handed in before this number was chosen, so somebody else was faster.
        detail = f"App {app} has changed since it was read."
        raise Conflict("E-STALE", detail, hint="Look at it again, then repeat.") from error


def _put(operation: str, app: str, number: int, envelope: Envelope, plan: str = "") -> Steps[Applied]:
    request: Request[Applied] = make_request(
        operation, parameters={"app": app}, body=envelope, expect=number, **({"plan": plan} if plan else {})
    )
    try:
        applied = yield from send(request)
    except Conflict as error:
        raise _explain(error, f"App {app} has changed since it was read.") from error
    with contextlib.suppress(SkerryError):
        # It is recorded, whatever becomes of this: without it a restored core has to learn from its sites.
        yield KeepAccepted(envelope=envelope)
    return applied


def _conclude(applied: Applied, lost: tuple[int, ...], sealed: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        app=applied.app,
        number=applied.number,
        event_id=applied.event_id,
        operation=applied.operation,
        sealed=sealed,
        handed_in=lost,
        applied=applied,
    )


def _find_app(app: str) -> Steps[AppSummary | None]:
    request: Request[AppDetail] = make_request("show_app", parameters={"app": app})
    try:
        return (yield from send(request)).summary
    except NotFound:
        return None


def _read_revision(app: str, number: int, tenant: TenantName) -> Steps[AppRevision]:
    """Return a revision that the tenant's own key has signed; the core might hand out another one of the tenant's."""
    names: Mapping[str, str] = {"app": app, "number": str(number)}
    request: Request[Envelope] = make_request("read_revision", parameters=names)
    envelope = yield from send(request)
    found = read_revision(envelope, (yield from ask_signer(ReadStatus(), SignerStatus)), tenant)
    if (found.app, found.number) != (app, number):
        detail = f"The core brings revision {found.number} of {found.app} for revision {number} of {app}."
        raise Invalid("E-SUBJECT", detail, hint=f"skerry app history {app}")
    return found


def _locate(error: Invalid, manifest: Manifest) -> Invalid:
    """Add lines of the manifest to problems that the core found in the signed form, where an image is meant."""
    uses = {f"/services/{use.service}/image": use for use in manifest.images}

    def place(problem: Problem) -> Problem:
        use = uses.get(problem.pointer)
        if use is None:
            return problem
        return msgspec.structs.replace(problem, file=use.file, line=use.line, column=use.column)

    located = Invalid(error.code, error.detail, hint=error.hint, problems=tuple(map(place, error.problems)))
    located.cause = error.cause
    return located


def _explain(error: Conflict, what: str) -> Conflict:
    """Say a stale number in the person's words; a conflict of meaning keeps its own."""
    if error.status != 412:
        return error
    told = Conflict(
        error.code, f"{what} {error.detail}", hint="Look at it again, then repeat.", problems=error.problems
    )
    told.status, told.number, told.cause = error.status, error.number, error.cause
    return told
