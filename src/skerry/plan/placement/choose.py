"""``choose``: the best slot for one instance, or every candidate's first failed constraint.

Constraints come in two sorts. A *wish* constraint (site, tenant, label, geofence, residency, node) is the owner's word:
an instance that no longer fulfils it leaves. A *room* constraint (profile, device, cpu, memory, uplink, disk, port,
secret, variable, spread, and those of ``rules.py``) only keeps newcomers out, and so does an operator's cordon: what
runs is never stopped because room is counted short or a grant has ended. Scores are integers, lower is better; ties go
by order.
"""

from collections import Counter

from skerry.model import selector
from skerry.model.document import Assignment
from skerry.model.granted import grants_unmet
from skerry.model.ids import SiteName
from skerry.model.lan import find_lan_lack
from skerry.model.placing import PlacementRules
from skerry.model.site_match import ground_unmet, site_unmet
from skerry.plan.derive import Underivable, derive_instance
from skerry.plan.placement.doors import list_needs
from skerry.plan.placement.estate import Estate, Slot, domain_of, is_published, port_taken
from skerry.plan.placement.request import Request
from skerry.plan.placement.rules import Judge
from skerry.plan.report import Placed, Refused, Rejection
from skerry.plan.snapshot import SecretWish

#: Rejections kept of one refusal: enough to explain, bounded however many sites there are.
REJECTIONS_MAX = 100

#: Score of one more instance of the group in the same domain: spreading outweighs every filling of a node.
_SPREAD_PENALTY = 10_000
#: Score of a node that must fetch the image first: decides between nodes that are otherwise about equally full.
_FETCH_PENALTY = 100
#: Price of an instance for an hour that is one point, in millionths of the operator's unit.
_COST_MICRO = 1_000
#: Score of a silent site: taken only when nobody else can.
_SILENT_PENALTY = 10**12

#: What a node is filled to at most, of processors and memory together.
_FULL = 2_000
_NO_RULES = PlacementRules()
#: Constraints that others can lift by making room.
ROOM = ("cpu", "memory", "uplink", "port")

Secrets = dict[tuple[str, str], SecretWish]


def reject_wish(request: Request, slot: Slot) -> Rejection | None:
    """Return the first wish constraint that the slot does not fulfil."""
    record = slot.record
    if request.tenant not in record.tenants:
        return _rejection(slot, "tenant", f"{slot.site} does not admit tenant {request.tenant}")
    unmet = site_unmet(request.wish.placement.sites, record)
    if unmet:
        return _rejection(slot, "label" if "match" in unmet else "site", unmet)
    if request.zone:
        if request.zone not in slot.zones:
            slot.zones[request.zone] = ground_unmet(request.wish, record)
        word, unmet = slot.zones[request.zone]
        if unmet:
            return _rejection(slot, word, unmet)
    terms = [selector.first_unmet(wanted, slot.labels) for wanted in request.node]
    if terms and all(term is not None for term in terms):
        last = terms[-1]
        assert last is not None
        have = slot.labels.get(last.key, "no such label")
        return _rejection(slot, "node", f"needs {selector.describe_term(last)}, {slot.node} has {have}")
    return None


def reject_new(slot: Slot) -> Rejection | None:
    """Say when an operator keeps newcomers away; what is there already stays and takes new revisions."""
    if not slot.cordon:
        return None
    verb = "cordoned" if slot.cordon == "cordon" else "drained"
    where = slot.site if slot.view.cordon else f"{slot.site}/{slot.node}"
    return _rejection(slot, "cordon", f"{where} is {verb}: nothing new is placed there")


def reject_room(request: Request, slot: Slot, secrets: Secrets) -> Rejection | None:
    """Return the first room constraint that the slot does not fulfil; spread is judged over all candidates."""
    unmet = grants_unmet(request.revision, request.service, slot.record)
    if unmet:
        return _rejection(slot, "profile", unmet)
    there = slot.devices
    for device in request.devices:
        if there is not None and device not in there:
            return _rejection(slot, "device", f"needs {device}, which {slot.site}/{slot.node} does not have")
    lacks = (find_lan_lack(lan, slot.labels) for lan in request.lans) if there is not None else ()
    if lack := next(filter(None, lacks), ""):
        return _rejection(slot, "kernel", f"needs {lack}, which {slot.site}/{slot.node} does not have")
    if slot.cpu_m is not None and slot.cpu_used_m + request.cpu_m > slot.cpu_m and request.cpu_m:
        free = max(0, slot.cpu_m - slot.cpu_used_m)
        return _rejection(slot, "cpu", f"needs {request.cpu_m}m, has {free}m of {slot.cpu_m}m free")
    if slot.memory_bytes is not None and request.memory_bytes:
        free = slot.memory_bytes - slot.memory_used_bytes
        if request.memory_bytes > free:
            short = f"needs {_mib(request.memory_bytes)}, has {_mib(max(0, free))} of {_mib(slot.memory_bytes)} free"
            return _rejection(slot, "memory", short)
    lack = slot.uplinks.find_lack(request.bandwidth.up_bps, request.bandwidth.down_bps)
    if lack:
        return _rejection(slot, "uplink", f"the uplinks of {slot.site}: {lack}")
    image = request.wish.image
    if slot.disk_free_bytes is not None and not slot.images[image.digest]:
        free = max(0, slot.disk_free_bytes - slot.disk_claimed_bytes)
        if image.size_bytes > free:
            return _rejection(slot, "disk", f"image {image.name} needs {_mib(image.size_bytes)}, has {_mib(free)} free")
    for port in request.ports:
        if port_taken(slot, port):
            return _rejection(slot, "port", f"{port.published}/{port.protocol} is taken on {slot.site}/{slot.node}")
    clash = _find_clash(request, slot)
    if clash:
        return _rejection(slot, "entrance", f"{clash} on {slot.site}/{slot.node}")
    for name in request.secrets:
        wish = secrets.get((request.tenant, name))
        if wish is None or slot.sealing not in wish.sealed_for:
            return _rejection(slot, "secret", f"secret {name} is not sealed for {slot.site}/{slot.node}")
    return _reject_variable(request, slot) if request.varies else None


def _find_clash(request: Request, slot: Slot) -> str:
    clash = slot.doors.find_clash(request.group, request.entrances)
    needs = (need for one in request.entrances for need in list_needs(one))
    taken = next((port for protocol, port in needs if is_published(slot, protocol, port)), 0)
    return clash or (f"port {taken} is published by an instance" if taken else "")


def make_judge(estate: Estate, request: Request, secrets: Secrets) -> Judge | None:
    """Return who judges the further words for a newcomer; None where neither it nor anybody here has any."""
    if not request.wish.placement.rules and not estate.has_shunned:
        return None
    return Judge(
        estate,
        request,
        lambda other, slot: reject_wish(other, slot) or reject_new(slot) or reject_room(other, slot, secrets),
    )


def choose(
    estate: Estate,
    request: Request,
    ordinal: int,
    slots: list[Slot],
    secrets: Secrets,
    *,
    at: SiteName | None = None,
) -> Placed | Refused:
    """Pick the best of ``slots``; nothing is committed. ``at`` names the one site asked for, whose slots these are."""
    judge = make_judge(estate, request, secrets)
    candidates: list[Slot] = []
    rejections: list[Rejection] = []
    for slot in slots:
        rejection = reject_wish(request, slot) or reject_new(slot)
        if rejection is None:
            candidates.append(slot)
        else:
            rejections.append(rejection)
    # At one site only that site's copies matter: wider domains are the same for all of its nodes.
    among = None if at is None else slots
    counts = {spread.by: estate.count_by(request.group, spread.by, among) for spread in request.wish.placement.spread}
    lowest = {by: min((count[domain_of(slot, by)] for slot in candidates), default=0) for by, count in counts.items()}
    best: tuple[int, int] | None = None
    for slot in candidates:
        rejection = (
            (None if judge is None else judge.reject(slot))
            or reject_room(request, slot, secrets)
            or _reject_spread(request, slot, counts, lowest)
        )
        if rejection is not None:
            rejections.append(rejection)
            continue
        score = (_score(request, slot, counts) + (0 if judge is None else judge.score(slot)), slot.order)
        if best is None or score < best:
            best = score
    if best is not None:
        slot = estate.slots[best[1]]
        return Placed(service=request.service, ordinal=ordinal, site=slot.site, node=slot.node, score=best[0])
    return Refused(
        service=request.service,
        site=at,
        reason=_sum_up(rejections, len(slots)),
        rejections=tuple(rejections[:REJECTIONS_MAX]),
    )


def _score(request: Request, slot: Slot, counts: dict[str, Counter[str]]) -> int:
    prefer = (request.wish.placement.rules or _NO_RULES).prefer
    score = prefer.spread * sum(_SPREAD_PENALTY * count[domain_of(slot, by)] for by, count in counts.items())
    filled = 0
    if slot.cpu_m:
        filled += 1000 * (slot.cpu_used_m + request.cpu_m) // slot.cpu_m
    if slot.memory_bytes:
        filled += 1000 * (slot.memory_used_bytes + request.memory_bytes) // slot.memory_bytes
    score += filled if prefer.fill == "level" else _FULL - filled
    if not slot.images[request.wish.image.digest]:
        score += prefer.moves * _FETCH_PENALTY
    if slot.price_micro:
        score += prefer.cost * (slot.price_micro // _COST_MICRO)
    return score + (_SILENT_PENALTY if slot.silent else 0)


def _reject_spread(
    request: Request, slot: Slot, counts: dict[str, Counter[str]], lowest: dict[str, int]
) -> Rejection | None:
    for spread in request.wish.placement.spread:
        if not spread.require:
            continue
        domain = domain_of(slot, spread.by)
        skew = counts[spread.by][domain] + 1 - lowest[spread.by]
        if skew > spread.max_skew:
            detail = f"one more in {spread.by} {domain or '(none)'} makes a skew of {skew}, allowed {spread.max_skew}"
            return _rejection(slot, "spread", detail)
    return None


def _reject_variable(request: Request, slot: Slot) -> Rejection | None:
    """Ask the function that the site itself will use, so that nothing is placed where it cannot be derived."""
    trial = Assignment(request.tenant, request.app, request.service, 0, slot.node, request.digest)
    derived = derive_instance(request.revision, trial, slot.record, dict.fromkeys(request.secrets, request.digest))
    return _rejection(slot, "variable", derived.reason) if isinstance(derived, Underivable) else None


def _sum_up(rejections: list[Rejection], looked: int) -> str:
    if not looked:
        return "there is no node to look at"
    counts = Counter(rejection.constraint for rejection in rejections)
    parts = [f"{word} at {count}" for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    if looked == 1:
        return rejections[0].detail
    return f"none of {looked} nodes can hold it: " + ", ".join(parts)


def _rejection(slot: Slot, constraint: str, detail: str) -> Rejection:
    return Rejection(site=slot.site, node=slot.node, constraint=constraint, detail=detail)


def _mib(amount: int) -> str:
    return f"{amount / 1024**2:.0f}Mi"
