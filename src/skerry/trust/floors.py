"""Floors: what a site has seen on each number line, so that nothing old is ever accepted as new (trust.md §6).

Rules: (1) a floor only rises; (2) an object stands at or above its floor, and at the floor only as the same bytes;
(3) it stands at most ``NUMBER_WINDOW`` above, so that a stolen key cannot burn the line; (4) the revisions of an app
and the tombstones that end it share one line. A line without a floor begins at 0.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.ids import Digest
from skerry.model.limits import NUMBER_WINDOW
from skerry.model.signed import Area, DocumentHead, OverlayKey, Root, Secret, SiteRecord, Tombstone, UserGroup
from skerry.trust.verdict import Denied


class Floor(msgspec.Struct, frozen=True):
    """The highest number accepted on a line, and which bytes had it."""

    number: int
    digest: Digest


def floor_key(payload: msgspec.Struct) -> str | None:
    """Name the number line of a payload; None for a call, which its nonce makes unique."""
    match payload:
        case Root():
            return "root"
        case SiteRecord():
            return f"site/{payload.site}"
        case AppRevision():
            return _app_line(payload)
        case Tombstone():
            return _app_line(payload) if payload.ends_app else f"tombstone/{payload.tenant}/{payload.app}"
        case Secret():
            return f"secret/{payload.tenant}/{payload.name}"
        case OverlayKey():
            return f"overlay-key/{payload.site}/{payload.node}"
        case Area():
            return f"area/{payload.tenant}/{payload.name}"
        case UserGroup():
            return f"user-group/{payload.tenant}/{payload.name}"
        case DocumentHead():
            # Generations begin anew in each epoch, so each epoch has a line of its own; ``_epoch_line`` orders epochs.
            return f"{_epoch_line(payload)}/{payload.epoch}"
        case _:
            return None


def number_of(payload: msgspec.Struct) -> int:
    """Return where a payload stands on its line; raise TypeError for a kind without one."""
    match payload:
        case Root() | SiteRecord() | AppRevision() | Tombstone() | Secret() | Area() | UserGroup() | OverlayKey():
            return payload.number
        case DocumentHead():
            return payload.generation
        case _:
            raise TypeError(f"{type(payload).__name__} has no number")


def judge_floor(floors: Mapping[str, Floor], payload: msgspec.Struct, digest: Digest) -> Denied | None:
    """Say why a payload may not be accepted where its line stands now; None when it may."""
    line = floor_key(payload)
    if line is None:
        return None
    if isinstance(payload, DocumentHead):
        denied = _judge_epoch(floors.get(_epoch_line(payload)), payload)
        return denied or _judge_number(line, floors.get(line), payload.generation, digest)
    if isinstance(payload, Tombstone) and not payload.ends_app:
        app = floors.get(_app_line(payload))
        if app is not None and payload.number < app.number:
            return stale_tombstone(payload, app.number)
    return _judge_number(line, floors.get(line), number_of(payload), digest)


def stale_tombstone(tombstone: Tombstone, number: int) -> Denied:
    """Refuse a tombstone that is older than what its app has become."""
    return Denied("E-STALE", f"the tombstone {tombstone.number} is older than the app, which is at {number}")


def raised_floors(floors: Mapping[str, Floor], accepted: Iterable[tuple[msgspec.Struct, Digest]]) -> dict[str, Floor]:
    """Return the lines that rise when these payloads are accepted, to be made durable together with them."""
    raised: dict[str, Floor] = {}
    for payload, digest in accepted:
        line = floor_key(payload)
        if line is None:
            continue
        if isinstance(payload, DocumentHead):
            _raise(floors, raised, _epoch_line(payload), Floor(payload.epoch, digest))
        _raise(floors, raised, line, Floor(number_of(payload), digest))
    return raised


def _raise(floors: Mapping[str, Floor], raised: dict[str, Floor], line: str, floor: Floor) -> None:
    present = raised.get(line) or floors.get(line)
    if present is None or floor.number > present.number:
        raised[line] = floor


def _judge_epoch(floor: Floor | None, head: DocumentHead) -> Denied | None:
    present = 0 if floor is None else floor.number
    if head.epoch < present:
        return Denied("E-STALE", f"epoch {head.epoch} is over, the site is in epoch {present}")
    return _judge_window("epoch", present, head.epoch)


def _judge_number(line: str, floor: Floor | None, number: int, digest: Digest) -> Denied | None:
    if floor is None:
        return _judge_window(line, 0, number)
    if number < floor.number:
        return Denied("E-STALE", f"number {number} of {line} is below {floor.number}, which is held")
    if number == floor.number and digest != floor.digest:
        return Denied("E-FORK", f"number {number} of {line} is held with other bytes", security=True)
    return _judge_window(line, floor.number, number)


def _judge_window(line: str, present: int, number: int) -> Denied | None:
    if number > present + NUMBER_WINDOW:
        return Denied("E-NUMBER", f"number {number} of {line} is too far above {present}", security=True)
    return None


def _app_line(payload: AppRevision | Tombstone) -> str:
    return f"app/{payload.tenant}/{payload.app}"


def _epoch_line(head: DocumentHead) -> str:
    return f"document/{head.site}"
