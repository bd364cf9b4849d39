"""Images of a node: what is fetched, loaded and given up, and what goes when the disk runs short.

An image that a document has the node hold, and that nothing wanted runs from, is here ahead of need: a seed, or what a
rollout brings next. It comes after all that is needed, never into the last room, and goes before anything lacks room.
"""

from msgspec import UNSET

from skerry.model.app import AppRevision
from skerry.model.document import ImageHold
from skerry.model.facts import ImageFact
from skerry.model.ids import Digest, InstanceId
from skerry.model.observed import Observation
from skerry.plan.actions import DropBlobs, FetchImage, LoadImage, RemoveImage
from skerry.plan.instances import Wanted
from skerry.plan.room import find_priority
from skerry.plan.site_plan import HeldSite, PlanDraft

#: Bytes of disk that images never use, so that journal, logs and volumes go on when the disk fills (I15).
DISK_RESERVE_BYTES = 512 * 1024 * 1024
#: Bytes that images ahead of need leave free: twice that, so that what was given up for room is not fetched again at
#: once.
AHEAD_RESERVE_BYTES = 2 * DISK_RESERVE_BYTES


def plan_images(
    draft: PlanDraft,
    held: HeldSite,
    wanted: dict[InstanceId, Wanted],
    observed: Observation,
    ahead: tuple[AppRevision, ...] = (),
) -> frozenset[Digest]:
    """Bring and load what is needed, and what revisions need that wait; return config digests that the runtime has."""
    needed: dict[Digest, FetchImage] = {}
    rank: dict[Digest, int] = {}
    for item in wanted.values():
        spec = item.derived.spec
        rank[spec.image] = max(rank.get(spec.image, 0), find_priority(item).value)
        needed[spec.image] = FetchImage(image=spec.image, config=spec.image_config, size_bytes=spec.image_size_bytes)
    for service in (each for revision in ahead for each in revision.services.values()):
        image = service.image
        needed.setdefault(
            image.digest, FetchImage(image=image.digest, config=image.config, size_bytes=image.size_bytes)
        )
    holds = [unit for unit in held.units.values() if isinstance(unit, ImageHold) and unit.digest not in needed]
    draft.ahead = frozenset(unit.digest for unit in holds)
    for unit in holds:
        needed[unit.digest] = FetchImage(image=unit.digest, config=unit.config, size_bytes=unit.size_bytes)
    loaded = frozenset(image.config for image in observed.images)
    for image in observed.blobs:
        if image.config in loaded:
            draft.add(DropBlobs(image=image.digest, config=image.config))
    complete = {image.digest for image in observed.blobs}
    free = observed.node.disk_free_bytes if observed.node is not None else None
    for digest in sorted(observed.arriving.keys() - needed.keys()):
        # Begun and no longer wanted: nothing else would ever remove what came of it.
        draft.add(DropBlobs(image=digest, config=Digest(digest)))
    is_urgent = False
    # What has begun to arrive goes first, then the highest priority, and each takes its room from those after it.
    for digest in sorted(
        needed,
        key=lambda digest: (digest in draft.ahead, digest not in observed.arriving, -rank.get(digest, 0), digest),
    ):
        fetch, reason = needed[digest], ""
        arrived = fetch.size_bytes if fetch.config in loaded else observed.arriving.get(digest, 0)
        if fetch.config not in loaded:
            if digest in complete:
                draft.add(LoadImage(image=digest, config=fetch.config))
                arrived = fetch.size_bytes
            elif digest in draft.ahead and (reason := _lack_ahead(draft, free, fetch.size_bytes - arrived)):
                pass
            elif free is not None and free - (fetch.size_bytes - arrived) < DISK_RESERVE_BYTES:
                room = max(free - DISK_RESERVE_BYTES, 0)
                draft.too_large[fetch.config] = fetch.size_bytes
                draft.wait(
                    f"image/{digest}",
                    f"disk full: the image needs {fetch.size_bytes} bytes, {room} are free for images",
                )
            elif digest not in draft.ahead or not is_urgent:
                # What is ahead of need lets the link to what runs here.
                is_urgent = (draft.add(fetch) and digest not in draft.ahead) or is_urgent
                free = None if free is None else free - (fetch.size_bytes - arrived)
        draft.facts.append(
            ImageFact(
                digest=digest,
                size_bytes=fetch.size_bytes,
                have_bytes=arrived,
                complete=fetch.config in loaded,
                reason=reason or UNSET,
            )
        )
    return loaded


def _lack_ahead(draft: PlanDraft, free: int | None, rest: int) -> str:
    """Say why an image that nothing runs from yet is not fetched; empty when it may be."""
    if draft.too_large:
        return "disk full: an image that runs here lacks room"
    if free is not None and free - rest < AHEAD_RESERVE_BYTES:
        return f"disk full: it may take {max(free - AHEAD_RESERVE_BYTES, 0)} bytes and lacks {rest}"
    return ""


def plan_eviction(draft: PlanDraft, held: HeldSite, wanted: dict[InstanceId, Wanted], observed: Observation) -> None:
    """When the disk runs short, evict images that no unit and no container needs; last those ahead of need (I14)."""
    if observed.node is None:
        return
    free = observed.node.disk_free_bytes
    used = {item.derived.spec.image_config for item in wanted.values()}
    used |= {seen.image_config for seen in observed.containers}
    used |= {each.image.config for revision in held.fallbacks.values() for each in revision.services.values()}
    kept = {unit.config for unit in held.units.values() if isinstance(unit, ImageHold)}
    spare = {each.config for each in _list_ahead(draft, held)} - used
    room = sum(image.size_bytes for image in observed.images if image.config in spare)
    helps = bool(draft.too_large) and free + room - DISK_RESERVE_BYTES >= min(draft.too_large.values())
    if free < DISK_RESERVE_BYTES or helps:
        kept -= spare
        for digest in sorted(draft.ahead & observed.arriving.keys()):
            draft.add(DropBlobs(image=digest, config=Digest(digest)))
    elif free >= 2 * DISK_RESERVE_BYTES:
        return
    for image in sorted((*observed.images, *observed.blobs), key=lambda image: image.digest):
        if image.config not in used | kept:
            draft.add(RemoveImage(image=image.digest, config=image.config))


def _list_ahead(draft: PlanDraft, held: HeldSite) -> list[ImageHold]:
    return [unit for unit in held.units.values() if isinstance(unit, ImageHold) and unit.digest in draft.ahead]
