"""Rollouts in waves as people see and steer them. What follows from their word is decided by ``plan/rollout.py``."""

from collections.abc import Callable, Collection

from skerry.core.auth import Caller
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import Page, RolloutSite, RolloutView
from skerry.model.asks import PageQuery
from skerry.model.facts import GateVerdict
from skerry.model.ids import Digest, SiteName
from skerry.model.rollout import Rollout
from skerry.plan import rollout as deciding
from skerry.plan.rollout import Progress
from skerry.store import Connection, apps, events, facts, fleet, objects, rollouts
from skerry.store.rows import read_page_token, write_page_token

#: Worst first: a site of several nodes is as good as its worst one.
_WORST: tuple[GateVerdict, ...] = ("failed", "watching", "proven")


class RolloutsPart(Part):
    """Operations that show rollouts and steer them."""

    async def list_rollouts(self, caller: Caller, *, query: PageQuery) -> Page[RolloutView]:
        """List the newest rollout of each app that had one, by app."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[RolloutView]:
            after = position[0] if position else ""
            found = rollouts.list_progress(connection, caller.scope, after, query.page_size + 1)
            views = tuple(_view(connection, caller, each, listed=False) for each in found[: query.page_size])
            more = len(found) > query.page_size
            return Page(items=views, next_page_token=write_page_token(found[-2].app) if more else "")

        return await self._core.db.read(job)

    async def show_rollout(self, caller: Caller, *, app: str) -> RolloutView:
        """Show how far an app's newest rollout has come, site by site."""

        def job(connection: Connection) -> RolloutView:
            return _view(connection, caller, _find(connection, caller, app), listed=True)

        return await self._core.db.read(job)

    async def promote_rollout(self, caller: Caller, *, app: str) -> RolloutView:
        """Let it go on past its bake, an approval, or what stopped it."""
        return await self._steer(caller, app, "promote", ("approval", "baking", "paused", "halted"), deciding.promote)

    async def pause_rollout(self, caller: Caller, *, app: str) -> RolloutView:
        """Let no further site have the revision."""
        reason = f"paused by {caller.actor}"
        going = ("running", "baking", "approval")
        return await self._steer(caller, app, "pause", going, lambda _, progress: deciding.pause(progress, reason))

    async def abort_rollout(self, caller: Caller, *, app: str) -> RolloutView:
        """End it; sites go back where the owner's words allow it."""
        reason = f"aborted by {caller.actor}"
        going = ("running", "baking", "approval", "paused", "halted")
        return await self._steer(caller, app, "abort", going, lambda _, progress: deciding.abort(progress, reason))

    async def _steer(
        self,
        caller: Caller,
        app: str,
        verb: str,
        phases: Collection[str],
        decide: Callable[[Rollout, Progress], Progress],
    ) -> RolloutView:
        def job(connection: Connection, stamp: Stamp) -> RolloutView:
            before = _find(connection, caller, app)
            words = _read_words(connection, before)
            row = apps.find_app(connection, before.tenant, app)
            if words is None or row is None or row.revision_digest != before.revision:
                raise Clash("E-ENDED", f"The rollout of {app} is over: another wish has come.")
            if before.phase not in phases:
                raise Clash("E-ENDED", f"The rollout of {app} is {before.phase}: there is nothing to {verb}.")
            after = decide(words, before)
            rollouts.record_progress(connection, after)
            fleet.touch_fleet(connection)
            events.append_core_event(
                connection,
                f"rollout.{verb}d" if verb.endswith("e") else f"rollout.{verb}ed",
                time_us=stamp.now_us,
                subject=f"app/{app}",
                tenant=before.tenant,
                message=f"revision {before.number} was {before.phase} at {deciding.name_stage(words, before.stage)}",
            )
            return _view(connection, caller, after, listed=True)

        view = await self._core.change(caller, f"{verb}_rollout", f"app/{app}", job, chain=caller.owner())
        self._core.wishes.ring()
        return view


def _find(connection: Connection, caller: Caller, app: str) -> Progress:
    found = rollouts.find_progress(connection, caller.owner(), app)
    if found is None:
        raise not_found()
    return found


def _read_words(connection: Connection, progress: Progress) -> Rollout | None:
    envelope = objects.read_object(connection, progress.revision)
    words = None if envelope is None else fleet.decode_revision(envelope).rollout
    return words or None


def _view(connection: Connection, caller: Caller, progress: Progress, *, listed: bool) -> RolloutView:
    words = _read_words(connection, progress)
    report = apps.read_reports(connection, progress.tenant, progress.app).get(progress.app)
    waiting = {} if report is None else report.waiting
    verdicts: dict[SiteName, tuple[GateVerdict, str]] = {}
    windows: dict[SiteName, str] = {}
    for site, fact in facts.list_gate_facts(connection, caller.scope, app=progress.app):
        if fact.revision != progress.revision:
            continue
        if fact.verdict == "none":
            windows[site] = fact.reason
            continue
        known = verdicts.get(site)
        if known is None or _WORST.index(fact.verdict) < _WORST.index(known[0]):
            verdicts[site] = fact.verdict, fact.reason
    sites = [_stand(site, verdicts, windows) for site in progress.admitted]
    sites += [RolloutSite(site=site, standing="waiting", reason=waiting[site]) for site in sorted(waiting)]
    return RolloutView(
        app=progress.app,
        number=progress.number,
        digest=Digest(progress.revision),
        phase=progress.phase,
        stage=progress.stage,
        waves=0 if words is None else words.count_waves(len(sites)),
        let_in=len(progress.admitted),
        proven=sum(each.standing == "proven" for each in sites),
        failed=sum(each.standing == "failed" for each in sites),
        waiting=len(waiting),
        reason=progress.reason,
        sites=tuple(sites) if listed else (),
    )


def _stand(
    site: SiteName, verdicts: dict[SiteName, tuple[GateVerdict, str]], windows: dict[SiteName, str]
) -> RolloutSite:
    if site not in verdicts:
        return RolloutSite(site=site, standing="let-in", reason=windows.get(site, ""))
    verdict, reason = verdicts[site]
    assert verdict != "none"
    return RolloutSite(site=site, standing=verdict, reason=reason)
