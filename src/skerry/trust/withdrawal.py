"""Which instances a document would end that only their tenant may end (``withdraw: tenant``, trust.md §5).

Pure, asked by ``verify.py`` of each document. The newest revision of an app that the site is shown decides: it may say
``core`` again, or no longer want the instance here. A copy that came as a stand-in for one at a silent site ends by the
core's word, because its tenant signed ``replace-after``; one that came otherwise is never made one.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, NetworkPart, SecretHold, Unit
from skerry.model.ids import AppName, NetworkName, SecretName, TenantName, UnitId
from skerry.model.signed import SiteRecord, Tombstone
from skerry.model.withdrawal import ONLY_ITS_TENANT, find_end, is_kept_from_core
from skerry.trust.verdict import Denied

#: Code of a unit that the core may not take away.
CODE = "E-WITHDRAW"


class Place(msgspec.Struct, frozen=True):
    """An assignment with the revision that it names."""

    unit: Assignment
    revision: AppRevision


def find_unsigned_ends(
    former: Mapping[UnitId, Place],
    wished: Mapping[UnitId, Assignment],
    shown: Iterable[msgspec.Struct],
    record: SiteRecord,
) -> dict[UnitId, Denied]:
    """Name the assignments in force that a document must not end or stop, each with the reason.

    ``former`` are those that it changes or does not have, ``wished`` what it has in their place, and ``shown`` are the
    signed objects that its good units name.
    """
    newest: dict[tuple[str, str], AppRevision] = {}
    ends: dict[tuple[str, str], int] = {}
    for payload in shown:
        if isinstance(payload, AppRevision):
            app = (payload.tenant, payload.app)
            newest[app] = max(payload, newest.get(app, payload), key=lambda each: each.number)
        elif isinstance(payload, Tombstone) and payload.ends_app:
            app = (payload.tenant, payload.app)
            ends[app] = max(payload.number, ends.get(app, 0))
    found: dict[UnitId, Denied] = {}
    for name, place in sorted(former.items()):
        unit, app = place.unit, (place.unit.tenant, place.unit.app)
        word = max(place.revision, newest.get(app, place.revision), key=lambda each: each.number)
        if unit.instead_of or not is_kept_from_core(word) or place.revision.number < ends.get(app, 0):
            continue
        if find_end(word, unit.service, unit.ordinal, record):
            continue
        reason = _find_stop(unit, wished.get(name), record)
        if reason:
            found[name] = Denied(CODE, f"{reason}, and {ONLY_ITS_TENANT}")
    return found


def find_needed(places: Iterable[Place], held: Mapping[UnitId, Unit], there: Iterable[UnitId]) -> set[UnitId]:
    """Name the secrets and parts of networks that a document leaves out and without which one could not start again.

    ``places`` are the assignments in force from now on, ``held`` the units in force so far, ``there`` those that the
    document has.
    """
    used: set[tuple[TenantName, SecretName]] = set()
    joined: set[tuple[TenantName, AppName, NetworkName]] = set()
    for place in places:
        service = place.revision.services.get(place.unit.service)
        if service is None or not is_kept_from_core(place.revision):
            continue
        uses = place.revision.secrets
        used |= {(place.unit.tenant, uses[each].name) for each in service.secret_sources if each in uses}
        joined |= {(place.unit.tenant, place.unit.app, network) for network in service.networks}
    present = set(there)
    return {
        name
        for name, unit in held.items()
        if name not in present
        and (
            (isinstance(unit, SecretHold) and (unit.tenant, unit.name) in used)
            or (isinstance(unit, NetworkPart) and (unit.tenant, unit.app, unit.network) in joined)
        )
    }


def _find_stop(unit: Assignment, wished: Assignment | None, record: SiteRecord) -> str:
    """Say how the core would have the instance stopped; empty when it would not."""
    if wished is None:
        return "the core does not wish for it any more"
    if wished.state == "hold" and unit.state == "run":
        return "the core pauses it"
    if wished.node not in record.nodes and unit.node in record.nodes:
        return f"the core wants it on {wished.node}, which this site does not have"
    if wished.instead_of:
        return "the core calls it a stand-in, so that it could end it later"
    return ""
