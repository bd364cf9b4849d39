"""Rollouts in the whole plan: who waits with what, who goes back, what is fetched ahead."""

import msgspec
from tests.plan.fleets import Fleet, per_site, revision, service, site, total

from skerry.model.app import AppRevision, Sites
from skerry.model.document import Assignment, ImageHold
from skerry.model.facts import AppFact, GateVerdict
from skerry.model.ids import AppName, Digest, NodeName, SiteName, TenantName, digest_of
from skerry.model.rollout import Rollout
from skerry.plan.fleet import FleetPlan
from skerry.plan.rollout import Progress

NAMES = tuple(f"s{number}" for number in range(10))
WORDS = Rollout(bake_us=0)
OLD = digest_of(b"old")


class Waves(Fleet):
    """A fleet that remembers how far its rollouts have come."""

    def plan(self) -> FleetPlan:
        plan = super().plan()
        for progress in plan.rollouts:
            key = progress.tenant, progress.app
            self.wishes[key] = msgspec.structs.replace(self.wishes[key], rollout=progress)
        return plan

    def roll(self, made: AppRevision, words: Rollout = WORDS) -> None:
        known = self.wishes.get((made.tenant, made.app))
        self.wish(msgspec.structs.replace(made, rollout=words), rollout=known and known.rollout)

    def answer(self, verdict: GateVerdict = "proven", *names: str) -> None:
        """Let the sites that are wished to run the newest revision say how it went; all unless some are named."""
        wish = self.wishes["default", "shop"]
        assert wish.revision
        for view in list(self.sites.values()):
            here = [unit for unit in view.units.values() if isinstance(unit, Assignment)]
            if any(unit.revision == wish.revision for unit in here) and (not names or view.site in names):
                self.change(view.site, gates=(tell(wish.revision, verdict),))

    def progress(self) -> Progress:
        found = self.wishes["default", "shop"].rollout
        assert found
        return found

    def finish(self) -> None:
        for _ in range(8):
            self.plan()
            self.answer()
        assert self.progress().phase == "done"


def tell(digest: Digest, verdict: GateVerdict) -> AppFact:
    return AppFact(
        tenant=TenantName("default"),
        app=AppName("shop"),
        node=NodeName("n1"),
        revision=digest,
        number=1,
        verdict=verdict,
        fallback=OLD,
    )


def fleet() -> Waves:
    return Waves(*(site(name, number) for number, name in enumerate(NAMES)))


def numbers(waves: Waves) -> list[int]:
    return [int(place.rpartition("@")[2].split()[0]) for place in waves.places()]


def backs(waves: Waves) -> list[str]:
    return sorted(
        view.site
        for view in waves.sites.values()
        if any(isinstance(unit, Assignment) and unit.back is True for unit in view.units.values())
    )


def test_the_first_revision_comes_in_waves_too() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service(replicas=per_site())))
    waves.plan()
    assert waves.places() == ["s0/n1 web.0@1"]
    waves.finish()
    assert len(waves.places()) == 10


def test_sites_that_wait_keep_what_they_have_and_fetch_what_comes() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service("1", replicas=per_site())))
    waves.finish()
    waves.roll(revision("shop", 2, web=service("2", replicas=per_site())))
    plan = waves.plan()
    assert numbers(waves) == [2] + [1] * 9
    assert plan.reports[0].waiting["s9"] == "revision 2 is at the canary"
    assert plan.reports[0].refused == ()
    held = [unit.digest for unit in waves.units("s9").values() if isinstance(unit, ImageHold)]
    assert len(held) == 2
    assert waves.plan().documents == (), "planning again changes nothing"


def test_nothing_is_fetched_ahead_where_that_is_not_wanted_or_the_rollout_has_stopped() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service("1", replicas=per_site())))
    waves.finish()
    waves.roll(revision("shop", 2, web=service("2", replicas=per_site())), Rollout(bake_us=0, prefetch=False))
    waves.plan()
    assert sum(isinstance(unit, ImageHold) for unit in waves.units("s9").values()) == 1
    waves.roll(revision("shop", 3, web=service("3", replicas=per_site())))
    waves.plan()
    waves.answer("failed")
    waves.plan()
    assert waves.progress().phase == "rolled-back"
    assert sum(isinstance(unit, ImageHold) for unit in waves.units("s9").values()) == 1


def test_a_failure_sends_back_the_sites_that_have_it_and_reaches_no_other() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service("1", replicas=per_site())))
    waves.finish()
    waves.roll(revision("shop", 2, web=service("2", replicas=per_site())))
    waves.plan()
    waves.answer()
    waves.plan()
    waves.plan()
    waves.answer("failed", "s1")
    waves.answer("proven", "s2", "s3", "s4")
    waves.plan()
    assert waves.progress().phase == "rolled-back"
    taken = sorted(waves.progress().admitted)
    assert backs(waves) == taken
    assert numbers(waves) == [2] * len(taken) + [1] * (10 - len(taken))
    assert waves.plan().documents == ()


def test_the_revision_after_a_bad_one_goes_the_same_way_and_ends_the_return() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service("1", replicas=per_site())))
    waves.finish()
    waves.roll(revision("shop", 2, web=service("2", replicas=per_site())))
    waves.plan()
    waves.answer("failed")
    waves.plan()
    assert backs(waves) == ["s0"]
    waves.roll(revision("shop", 3, web=service("3", replicas=per_site())))
    waves.plan()
    assert backs(waves) == []
    waves.finish()
    assert numbers(waves) == [3] * 10


def test_an_app_without_the_word_goes_everywhere_at_once() -> None:
    waves = fleet()
    waves.wish(revision("shop", web=service(replicas=per_site())))
    plan = waves.plan()
    assert len(waves.places()) == 10
    assert plan.rollouts == ()


def test_only_sites_that_are_meant_count() -> None:
    waves = fleet()
    chosen = Sites(names=(SiteName("s7"), SiteName("s8")))
    waves.roll(revision("shop", web=service(replicas=per_site(), sites=chosen)))
    waves.plan()
    assert waves.places() == ["s7/n1 web.0@1"]
    waves.finish()
    assert waves.places() == ["s7/n1 web.0@1", "s8/n1 web.0@1"]


def test_a_site_without_room_holds_nothing_up() -> None:
    waves = Waves(site("s0", 0, memory=1), site("s1", 1), site("s2", 2))
    waves.roll(revision("shop", web=service(replicas=per_site(), memory=1000)))
    for _ in range(8):
        waves.plan()
        waves.answer()
    assert waves.progress().phase == "done"
    assert waves.places() == ["s1/n1 web.0@1", "s2/n1 web.0@1"]


def test_a_total_over_all_sites_is_placed_at_once_and_changed_in_waves() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service("1", replicas=total(4))))
    waves.plan()
    assert numbers(waves) == [1] * 4
    waves.roll(revision("shop", 2, web=service("2", replicas=total(4))))
    waves.plan()
    assert sorted(numbers(waves)) == [1, 1, 1, 2]
    waves.finish()
    assert numbers(waves) == [2] * 4


def test_a_bake_names_when_to_look_again() -> None:
    waves = fleet()
    waves.roll(revision("shop", web=service(replicas=per_site())), Rollout(bake_us=500))
    waves.plan()
    waves.answer()
    assert waves.plan().wake_us == 500
