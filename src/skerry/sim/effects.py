"""Checks on every single effect at a site, asked just before it happens: starts, stops, deletions, what fills disks.

A check gets the run so far, the site and the action, and returns what is wrong, or nothing.
"""

from collections.abc import Callable

from skerry.clock import SECOND_US
from skerry.model.ids import Digest, InstanceId, SiteName, TenantName
from skerry.plan.actions import (
    Action,
    CreateContainer,
    CreateVolume,
    DeleteVolume,
    LoadImage,
    RemoveContainer,
    RemoveImage,
    StartContainer,
    StopContainer,
)
from skerry.plan.history import AppId, app_id
from skerry.plan.images import DISK_RESERVE_BYTES
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import HeldSite
from skerry.sim.parts import SimSite
from skerry.sim.rests import find_rest
from skerry.sim.weather import Weather
from skerry.sim.windows import has_windows, list_former
from skerry.sim.world import World

#: A manifest, a configuration and the rounding of tar files, which the size of an image leaves out.
_OVERHEAD_BYTES = 32 * 1024


class Run:
    """What the checks of effects know of the run so far."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world = world
        self.weather = weather
        #: Host uids by site, start to tenant.
        self.uids: dict[tuple[SiteName, int], TenantName] = {}
        #: Revisions that a site was wished to run and began to.
        self.begun: set[tuple[SiteName, Digest]] = set()
        #: Instances that stand in for those of silent sites, and those that were stopped for a change and not started.
        self.stand_ins: set[tuple[SiteName, InstanceId]] = set()
        self.stopped: set[tuple[SiteName, InstanceId]] = set()
        #: The document that a site was seen to follow, and since when.
        self.documents: dict[SiteName, tuple[tuple[int, int] | None, int]] = {}

    def forget_disk(self, site: SimSite) -> None:
        """Its disk is an old one: only what that holds still binds the site, and nothing of it is changed just now."""
        self.uids = {key: tenant for key, tenant in self.uids.items() if key[0] != site.name}
        self.uids |= {(site.name, seen.uid_start): seen.tenant for seen in site.machine.volumes.values()}
        self.stopped = {key for key in self.stopped if key[0] != site.name}


def check_i04_only_signed_objects_are_applied(run: Run, site: SimSite, action: Action) -> str:
    """A site applies only objects whose signature chain was valid under the newest root it had seen."""
    if not isinstance(action, CreateContainer | StartContainer):
        return ""
    document = None if site.agent.holdings is None else site.agent.holdings.document
    for digest in () if document is None else (*document.revisions, *document.tombstones):
        if digest not in run.world.signed:
            return f"{site.name} follows {digest}, which nobody signed"
    return ""


def check_i05_only_named_images_run(run: Run, site: SimSite, action: Action) -> str:
    """A site never runs an image digest that is not named by a signed revision of that tenant."""
    if not isinstance(action, CreateContainer | StartContainer):
        return ""
    spec = action.spec
    for signed in run.world.signed.values():
        if signed.key == (spec.tenant, spec.app) and spec.image in signed.images:
            return ""
    return f"{site.name} is about to run {spec.image}, which no revision of {spec.tenant}/{spec.app} names"


def check_i11_volumes_go_only_by_tombstone(run: Run, site: SimSite, action: Action) -> str:
    """A volume is deleted only by a signed tombstone after its grace time, never because of absence."""
    if not isinstance(action, DeleteVolume):
        return ""
    signed = run.world.signed.get(action.tombstone)
    stone = None if signed is None else signed.tombstone
    if signed is None or stone is None:
        return f"{site.name} deletes {action.volume} for {action.tombstone}, which is no signed tombstone"
    if (stone.tenant, stone.app) != (action.tenant, action.app) or action.name not in stone.volumes:
        return f"{site.name} deletes {action.volume} by a tombstone for other volumes"
    seen = site.machine.volumes.get(action.volume)
    if seen is not None and seen.born >= stone.number:
        return f"{site.name} deletes {action.volume}, which is younger than its tombstone"
    passed_us = run.world.loop.now_us - signed.at_us
    if passed_us < stone.grace_us - SECOND_US:
        grace_s = stone.grace_us // SECOND_US
        return f"{site.name} deletes {action.volume} {passed_us // SECOND_US} s after its tombstone, not {grace_s} s"
    for container in site.machine.containers.values():
        used = (container.tenant, container.app) == (stone.tenant, stone.app) and action.name in container.volumes
        if used:
            return f"{site.name} deletes {action.volume} while {container.instance} uses it"
    return ""


def check_i14_no_needed_image_is_evicted(run: Run, site: SimSite, action: Action) -> str:
    """Cache eviction never removes a digest needed by a running or fallback revision."""
    if isinstance(action, RemoveImage):
        for seen in site.machine.containers.values():
            if seen.image_config == action.config:
                return f"{site.name} evicts the image of {seen.instance}"
    return ""


def check_i15_the_reserve_is_kept(run: Run, site: SimSite, action: Action) -> str:
    """The agent's disk budget is never exceeded; instances never use the reserve."""
    if not isinstance(action, LoadImage) or action.config in site.machine.images:
        return ""
    # The blobs of what is loaded go a moment later: what counts is what stays.
    size = next((image.size_bytes for image in run.world.images.values() if image.digest == action.image), 0)
    left = site.machine.disk_bytes - sum(image.size_bytes for image in site.machine.images.values()) - size
    if left < DISK_RESERVE_BYTES - _OVERHEAD_BYTES:
        return f"{site.name}: images leave {left} bytes, the reserve is {DISK_RESERVE_BYTES}"
    return ""


def check_i17_nothing_stops_unasked(run: Run, site: SimSite, action: Action) -> str:
    """A core restored from backup never orders the destruction of something it does not know."""
    if not isinstance(action, StopContainer | RemoveContainer):
        return ""
    seen = site.machine.containers.get(action.container)
    if seen is None or seen.state != "running":
        return ""
    known = run.world.confirmed.get((seen.tenant, seen.app))
    if known is None or known.touched or (seen.tenant, seen.app) in run.world.loose_apps():
        return ""
    if seen.instance in site.agent.reconciler.history.kept.said:
        return ""
    held = site.followed()
    wanted = {} if held is None else derive_wanted(held)[0]
    if seen.instance in wanted and find_rest(run.world, site, seen.instance, wanted):
        return ""  # its owner has signed when it rests
    verdict = site.agent.reconciler.history.kept.judged.get(AppId(f"{seen.tenant}/{seen.app}"))
    if verdict is not None and verdict.locked:
        return ""  # its networks cut the site off, as far as the site can know
    copies = [each for each in site.machine.containers.values() if each.instance == seen.instance]
    return "" if len(copies) > 1 else f"{site.name} stops {seen.instance}, and nobody asked for that"


def check_i18_nothing_stops_without_a_successor(run: Run, site: SimSite, action: Action) -> str:
    """A site without WAN keeps every wanted instance running through any number of reboots."""
    # A slow runtime that was asked to stop before a newer wish came cannot be asked back.
    if not isinstance(action, StopContainer) or site.machine.faults.slow_us:
        return ""
    seen = site.machine.containers.get(action.container)
    held = site.followed()
    if seen is None or held is None or seen.state != "running":
        return ""
    wanted = derive_wanted(held)[0]
    item = wanted.get(action.instance)
    if item is None or item.assignment.state != "run":
        return ""
    if find_rest(run.world, site, action.instance, wanted):
        return ""
    specs = _list_successors(held, item)
    ready = [
        each
        for name, each in site.machine.containers.items()
        if each.instance == seen.instance and each.spec in specs and name != action.container
    ]
    return "" if ready else f"{site.name} stops {seen.instance} before its successor can start"


def _list_successors(held: HeldSite, item: Wanted) -> set[Digest]:
    """Name what an instance may become: what is wished, and while that waits for its window what was there before."""
    unit = item.assignment
    former = list_former(held, {app_id(unit)}) if has_windows(held.revisions[unit.revision]) else []
    return {
        item.derived.digest,
        *(each.derived.digest for each in former if each.derived.spec.id == item.derived.spec.id),
    }


def check_i27_tenants_share_no_uids(run: Run, site: SimSite, action: Action) -> str:
    """No bytes of tenant A reach a credential, process, network or log stream of tenant B."""
    if isinstance(action, CreateContainer | StartContainer):
        spec = action.spec
        tenant, start = spec.tenant, action.uid_start
        if spec.mounts and any("/" in mount.source for mount in spec.mounts if mount.kind == "volume"):
            return f"{site.name}: {spec.id} mounts a volume of somebody else"
    elif isinstance(action, CreateVolume):
        tenant, start = action.tenant, action.uid_start
    else:
        return ""
    owner = run.uids.setdefault((site.name, start), tenant)
    return "" if owner == tenant else f"{site.name}: uids from {start} are {owner}'s, and now {tenant}'s too"


def check_i36_only_what_was_well_comes_back(run: Run, site: SimSite, action: Action) -> str:
    """A failed or interrupted update ends at the last proven version, without a person, within the health window."""
    held = None if site.agent.holdings is None else site.agent.holdings.as_site()
    followed = site.followed()
    if not isinstance(action, StartContainer) or held is None or followed is None:
        return ""
    item = derive_wanted(followed)[0].get(action.instance)
    if item is None or item.derived.digest != action.spec_digest:
        return ""
    digest = item.assignment.revision
    if digest in held.revisions:
        run.begun.add((site.name, digest))
        return ""
    signed = run.world.signed.get(digest)
    if (site.name, digest) not in run.begun:
        return f"{site.name} goes back to a revision of {action.instance} that never ran there"
    if signed is not None and signed.words is not None and signed.words.ill:
        return f"{site.name} goes back to a revision of {action.instance} that was never well"
    return ""


EFFECT_CHECKS: tuple[Callable[[Run, SimSite, Action], str], ...] = (
    check_i04_only_signed_objects_are_applied,
    check_i05_only_named_images_run,
    check_i11_volumes_go_only_by_tombstone,
    check_i14_no_needed_image_is_evicted,
    check_i15_the_reserve_is_kept,
    check_i17_nothing_stops_unasked,
    check_i18_nothing_stops_without_a_successor,
    check_i27_tenants_share_no_uids,
    check_i36_only_what_was_well_comes_back,
)


def name_of(check: Callable[..., object]) -> str:
    """The invariant's id, from the name of its check."""
    return f"I{int(check.__name__[7:9])}"
