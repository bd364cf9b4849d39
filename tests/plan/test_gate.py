"""A site's own judgement of a revision."""

import msgspec
from tests.plan.scenery import SECOND, revision, service

from skerry.model.app import AppRevision
from skerry.model.facts import InstanceFact, InstancePhase
from skerry.model.ids import Digest, NodeName, digest_of
from skerry.model.rollout import Gate, Rollout
from skerry.plan.gate import Judged, Watch, choose_revision, gate_fact, judge_app, may_return

NEW, OLD = digest_of(b"new"), digest_of(b"old")
ROLLOUT = Rollout(gate=Gate(healthy_us=60 * SECOND, timeout_us=300 * SECOND))
WISHED = msgspec.structs.replace(revision(2, web=service()), rollout=ROLLOUT)
BEFORE = Judged(revision=OLD, verdict="proven")


def fact(phase: InstancePhase, digest: Digest = NEW, service: str = "web") -> InstanceFact:
    return InstanceFact(
        instance=f"default/shop/{service}/0", node=NodeName("node"), revision=digest, number=2, phase=phase
    )


class Site:
    """Judges the same revision again and again, as a node does."""

    def __init__(self, wished: AppRevision = WISHED, judged: Judged | None = BEFORE) -> None:
        self.wished, self.judged, self.watch = wished, judged, None
        self.wake_us = 0

    def see(self, seconds: int, *phases: InstancePhase, back: bool = False) -> str:
        facts = [fact(phase, service=f"s{number}") for number, phase in enumerate(phases)]
        self.judged, self.watch, self.wake_us = judge_app(
            self.wished, NEW, self.judged, self.watch, facts, seconds * SECOND, back=back
        )
        return self.judged.verdict


def test_a_revision_is_proven_after_it_was_well_without_a_break():
    site = Site()
    assert site.see(10, "starting") == "watching"
    assert site.see(20, "ready") == "watching"
    assert site.wake_us == 80 * SECOND
    assert site.see(79, "ready") == "watching"
    assert site.see(80, "ready") == "proven"
    assert site.judged.fallback == OLD


def test_a_break_begins_the_watch_anew_and_not_the_timeout():
    site = Site()
    site.see(10, "ready")
    site.see(60, "unhealthy")
    assert site.see(70, "ready") == "watching"
    assert site.wake_us == 130 * SECOND
    site.see(129, "restarting")
    assert site.see(310, "restarting") == "failed"
    assert site.judged.reason == "not well within 300 s: s0 is restarting"


def test_every_service_has_to_be_well():
    site = Site()
    site.see(10, "ready", "starting")
    assert site.see(100, "ready", "starting") == "watching"
    assert site.see(310, "ready", "starting") == "failed"


def test_a_job_that_is_done_is_well():
    site = Site()
    site.see(10, "ready", "done")
    assert site.see(70, "ready", "done") == "proven"


def test_time_begins_only_when_something_can_start():
    site = Site()
    assert site.see(10, "waiting") == "watching"
    assert site.see(5000, "waiting") == "watching"
    assert site.wake_us == 0
    site.see(5001, "starting")
    assert site.wake_us == 5301 * SECOND


def test_a_paused_app_is_not_judged():
    site = Site()
    site.see(10, "starting")
    assert site.see(500, "held") == "watching"
    assert site.see(501, "starting") == "watching"
    assert site.wake_us == 801 * SECOND


def test_an_agent_that_was_restarted_watches_again_from_the_beginning():
    site = Site()
    site.see(10, "ready")
    site.watch = None
    assert site.see(75, "ready") == "watching"
    assert site.see(135, "ready") == "proven"


def test_a_verdict_stays_until_another_revision_is_wished():
    site = Site()
    site.see(10, "unhealthy")
    assert site.see(310, "unhealthy") == "failed"
    assert site.see(400, "ready") == "failed"
    other, _, _ = judge_app(site.wished, digest_of(b"third"), site.judged, site.watch, [], 401 * SECOND)
    assert (other.verdict, other.fallback) == ("watching", OLD)


def test_an_unproven_revision_is_never_a_fallback():
    site = Site(judged=Judged(revision=OLD, verdict="watching"))
    site.see(10, "ready")
    assert site.judged.fallback is None


def test_what_failed_gives_way_to_what_was_proven_where_the_tenant_allows_it():
    failed = Judged(revision=NEW, verdict="failed", fallback=OLD)
    held = {NEW: WISHED, OLD: revision(1, web=service())}
    assert choose_revision(WISHED, NEW, failed, held) == OLD
    assert choose_revision(WISHED, NEW, failed, {NEW: WISHED}) == NEW
    assert choose_revision(WISHED, NEW, msgspec.structs.replace(failed, verdict="watching"), held) == NEW
    assert choose_revision(WISHED, NEW, msgspec.structs.replace(failed, fallback=None), held) == NEW
    assert choose_revision(WISHED, NEW, None, held) == NEW
    for way in ("pause", "continue"):
        other = msgspec.structs.replace(WISHED, rollout=msgspec.structs.replace(ROLLOUT, on_failure=way))
        assert not may_return(other)
        assert choose_revision(other, NEW, failed, held) == NEW


def test_the_core_may_take_a_rollout_back_only_where_the_tenant_allows_it():
    site = Site()
    site.see(10, "ready")
    site.see(80, "ready")
    assert site.see(90, "ready", back=True) == "failed"
    assert site.judged.reason == "its rollout was taken back"
    plain = Site(wished=revision(2, web=service()))
    assert plain.see(10, "ready", back=True) == "proven"
    nothing = Site(judged=None)
    assert nothing.see(10, "ready", back=True) == "watching"


def test_a_revision_without_the_word_is_proven_in_silence_and_never_given_up():
    plain = revision(2, web=service())
    site = Site(wished=plain)
    site.see(10, "unhealthy")
    assert site.see(100_000, "unhealthy") == "watching"
    assert site.see(100_001, "ready") == "proven"
    assert gate_fact(plain, NEW, site.judged, NodeName("node")) is None


def test_the_core_is_told_the_verdict_and_what_there_is_to_go_back_to():
    failed = Judged(revision=NEW, verdict="failed", fallback=OLD, reason="why")
    told = gate_fact(WISHED, NEW, failed, NodeName("node"))
    assert told is not None
    assert (told.verdict, told.fallback, told.reason, told.number) == ("failed", OLD, "why", 2)


def test_a_watch_of_another_revision_is_forgotten():
    _, watch, _ = judge_app(WISHED, NEW, BEFORE, Watch(revision=OLD, began_us=1, well_us=1), [fact("ready")], SECOND)
    assert watch == Watch(revision=NEW, began_us=SECOND, well_us=SECOND)
