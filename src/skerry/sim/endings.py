"""Invariants of how instances end: who may end them (``withdraw``), and how many at once (``max-down``).

They stand beside those of ``effects.py``; I41 and I42 are of these words alone. Both are judged at each stop, by what
was signed in this world and by the stops and starts before it, not by the planner that is being tested.
"""

from collections.abc import Callable

import msgspec

from skerry.model.app import AppRevision
from skerry.model.facts import InstanceFact, decode_fact
from skerry.model.ids import AppName, ServiceName, TenantName
from skerry.model.observed import ContainerSeen
from skerry.model.policy import Policy
from skerry.model.withdrawal import find_end
from skerry.plan.actions import Action, StartContainer, StopContainer
from skerry.plan.history import AppId
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.sim.effects import Run
from skerry.sim.parts import SimSite
from skerry.sim.rests import find_rest

_REVISION = msgspec.json.Decoder(AppRevision)


def check_i41_only_its_tenant_ends_it(run: Run, site: SimSite, action: Action) -> str:
    """While a manifest says ``withdraw: tenant``, no instance ends at a site that runs it but by its tenant's word."""
    held = site.followed()
    if held is None or site.record is None:
        return ""
    if isinstance(action, StartContainer):
        item = derive_wanted(held)[0].get(action.instance)
        if item is not None and item.assignment.instead_of:
            run.stand_ins.add((site.name, action.instance))
        return ""
    seen = site.machine.containers.get(action.container) if isinstance(action, StopContainer) else None
    if seen is None or seen.state != "running" or (site.name, seen.instance) in run.stand_ins:
        return ""
    if site.machine.faults.slow_us or _find_word(run, site, seen):
        return ""  # what a slow runtime was asked for cannot be asked back by a newer word
    if AppId(f"{seen.tenant}/{seen.app}") in held.returned:
        return ""  # it goes back to what was proven, as a whole, and its tenant signed that
    wanted = derive_wanted(held)[0]
    twins = [each for each in site.machine.containers.values() if each.instance == seen.instance]
    if len(twins) > 1 or (seen.instance in wanted and find_rest(run.world, site, seen.instance, wanted)):
        return ""  # a successor is there (I18), or its owner's own words let it rest
    return f"{site.name} ends {seen.instance} without a word of its tenant"


def check_i42_no_more_are_down_by_choice(run: Run, site: SimSite, action: Action) -> str:
    """Never are more copies of a service down at a site by a planner's choice than ``max-down`` says."""
    if isinstance(action, StartContainer):
        run.stopped.discard((site.name, action.instance))
    seen = site.machine.containers.get(action.container) if isinstance(action, StopContainer) else None
    held = site.followed()
    if seen is None or seen.state != "running" or held is None:
        return ""
    wanted = derive_wanted(held)[0]
    item = wanted.get(seen.instance)
    if item is None or item.in_site or item.assignment.state != "run" or seen.spec == item.derived.digest:
        return ""
    before = site.agent.reconciler.history.runs.get(seen.instance)
    if before is not None and before.spec == seen.spec and before.health in ("starting", "unhealthy"):
        return ""  # what is not well was down already
    if find_rest(run.world, site, seen.instance, wanted):
        return ""
    run.stopped.add((site.name, seen.instance))
    mine = [name for name, each in wanted.items() if _copies_of(each) == _copies_of(item)]
    down = sorted(name for name in mine if (site.name, name) in run.stopped)
    words = item.policy or Policy()
    allowed = max(1, words.max_down or words.max_down_permille * item.copies // 1000)
    return "" if len(down) <= allowed else f"{site.name} takes down {down}, and {allowed} may be"


def _find_word(run: Run, site: SimSite, seen: ContainerSeen) -> bool:
    """Say whether the tenant signed that the instance may end: by what runs, or by anything that came after it."""
    body = site.agent.reconciler.facts.get(f"instance/{seen.instance}")
    fact = None if body is None else decode_fact(body)
    number = fact.number if isinstance(fact, InstanceFact) else 0
    assert site.record is not None
    for each in run.world.signed.values():
        if each.key != (seen.tenant, seen.app) or each.number < number:
            continue
        if each.tombstone is not None and each.tombstone.ends_app:
            return True
        if each.tombstone is None:
            revision = _REVISION.decode(each.envelope.payload)
            if revision.withdraw != "tenant" or find_end(revision, seen.service, seen.ordinal, site.record):
                return True
    return False


def _copies_of(item: Wanted) -> tuple[TenantName, AppName, ServiceName]:
    unit = item.assignment
    return unit.tenant, unit.app, unit.service


EFFECT_CHECKS: tuple[Callable[[Run, SimSite, Action], str], ...] = (
    check_i41_only_its_tenant_ends_it,
    check_i42_no_more_are_down_by_choice,
)
