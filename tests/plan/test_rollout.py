"""The core's decision which sites may have a new revision."""

import msgspec
import pytest

from skerry.model.ids import AppName, Digest, SiteName, TenantName
from skerry.model.rollout import Rollout, Share
from skerry.plan.rollout import Progress, Standing, abort, begin_rollout, pause, plan_rollout, promote

NEW, OLD = Digest("sha256:" + "1" * 64), Digest("sha256:" + "0" * 64)
MINUTE_US = 60_000_000
WORDS = Rollout(bake_us=0)
EVERYBODY = tuple(f"s{number:02}" for number in range(20))


def stand(**standings: Standing) -> tuple[Standing, ...]:
    """Twenty sites; those not named are online and have nothing of the revision."""
    return tuple(standings.get(name) or site(name) for name in EVERYBODY)


def site(name: str, **words: object) -> Standing:
    return msgspec.structs.replace(Standing(site=SiteName(name), fallback=OLD), **words)


def start() -> Progress:
    return begin_rollout(TenantName("t"), AppName("pos"), 2, NEW)


def play(words: Rollout, verdicts: dict[str, Standing], rounds: int = 12, now_us: int = MINUTE_US) -> list[Progress]:
    """Let every admitted site answer as told, by default proven at once; return the progress of each round."""
    sites, progress, seen = stand(**verdicts), start(), list[Progress]()
    for _ in range(rounds):
        progress = plan_rollout(words, progress, sites, now_us).progress
        seen.append(progress)
        sites = tuple(
            each
            if each.site not in progress.admitted or each.site in verdicts
            else msgspec.structs.replace(each, taken=True, verdict="proven")
            for each in sites
        )
    return seen


def names(progress: Progress) -> list[str]:
    return sorted(progress.admitted)


def test_a_canary_then_waves_then_everybody():
    sizes = [len(progress.admitted) for progress in play(WORDS, {})]
    assert sizes[:5] == [1, 2, 10, 20, 20]
    assert [progress.phase for progress in play(WORDS, {})][:5] == ["running"] * 4 + ["done"]


def test_nobody_waits_once_it_is_done_and_a_new_site_gets_it_at_once():
    done = play(WORDS, {})[-1]
    turn = plan_rollout(WORDS, done, (*stand(), site("new")), MINUTE_US)
    assert turn.waiting == {}
    assert turn.back == {}


def test_a_site_that_waits_says_for_what():
    turn = plan_rollout(WORDS, start(), stand(), MINUTE_US)
    assert names(turn.progress) == ["s00"]
    assert turn.waiting[SiteName("s01")] == "revision 2 is at the canary"


def test_one_failure_in_the_canary_takes_it_back():
    bad = {"s00": site("s00", taken=True, verdict="failed", reason="web is unhealthy")}
    last = play(WORDS, bad)[-1]
    assert (last.phase, names(last)) == ("rolled-back", ["s00"])
    assert last.reason == "canary: 1 of 1 sites failed: s00: web is unhealthy"
    turn = plan_rollout(WORDS, last, stand(**bad), MINUTE_US)
    assert turn.back == {"s00": OLD}
    assert turn.waiting[SiteName("s19")].startswith("the rollout of revision 2 is rolled-back: canary")


def test_a_failure_in_a_wave_takes_it_back_at_all_sites_that_have_it():
    bad = {"s05": site("s05", taken=True, verdict="failed")}
    last = play(WORDS, bad)[-1]
    assert (last.phase, last.stage) == ("rolled-back", 2)
    assert len(plan_rollout(WORDS, last, stand(**bad), MINUTE_US).back) == 10


def test_so_many_failures_as_the_tenant_allows_hold_nothing_up():
    words = msgspec.structs.replace(WORDS, max_failed=Share(permille=100))
    bad = {"s05": site("s05", taken=True, verdict="failed")}
    assert play(words, bad)[-1].phase == "done"


def test_pausing_on_failure_leaves_the_revision_where_it_is():
    words = msgspec.structs.replace(WORDS, on_failure="pause")
    bad = {"s00": site("s00", taken=True, verdict="failed")}
    last = play(words, bad)[-1]
    assert last.phase == "halted"
    assert plan_rollout(words, last, stand(**bad), MINUTE_US).back == {}


def test_going_on_regardless_reaches_everybody():
    words = msgspec.structs.replace(WORDS, on_failure="continue")
    bad = {"s00": site("s00", taken=True, verdict="failed")}
    assert play(words, bad)[-1].phase == "done"


def test_a_site_without_anything_proven_keeps_what_it_has():
    bad = {"s00": site("s00", taken=True, verdict="failed", fallback=None)}
    assert plan_rollout(WORDS, play(WORDS, bad)[-1], stand(**bad), MINUTE_US).back == {}


def test_a_silent_site_is_no_canary_and_holds_nothing_up():
    cut = {name: site(name, silent=True) for name in ("s00", "s01", "s07")}
    seen = play(WORDS, cut)
    assert names(seen[0]) == ["s02"]
    assert seen[-1].phase == "done"
    assert set(cut) < set(seen[-1].admitted)


def test_waiting_for_silent_sites_is_a_tenants_choice():
    words = msgspec.structs.replace(WORDS, offline_sites="wait")
    seen = play(words, {"s00": site("s00", silent=True)})
    assert (seen[-1].phase, names(seen[-1])) == ("running", ["s00"])


def test_falling_silent_after_taking_it_is_a_failure():
    bad = {"s00": site("s00", silent=True, taken=True, verdict="watching")}
    progress = msgspec.structs.replace(start(), admitted=(SiteName("s00"),))
    turn = plan_rollout(WORDS, progress, stand(**bad), MINUTE_US)
    assert turn.progress.phase == "rolled-back"
    assert "fell silent after it took the revision" in turn.progress.reason


def test_falling_silent_after_passing_is_none():
    assert play(WORDS, {"s00": site("s00", silent=True, taken=True, verdict="proven")})[-1].phase == "done"


def test_the_canary_bakes_by_the_cores_clock_even_if_that_is_set_back():
    words = msgspec.structs.replace(WORDS, bake_us=10 * MINUTE_US)
    proven = stand(s00=site("s00", taken=True, verdict="proven"))
    progress = msgspec.structs.replace(start(), admitted=(SiteName("s00"),))
    turn = plan_rollout(words, progress, proven, 100 * MINUTE_US)
    assert (turn.progress.phase, turn.wake_us) == ("baking", 110 * MINUTE_US)
    back = plan_rollout(words, turn.progress, proven, 50 * MINUTE_US)
    assert (back.progress.phase, back.wake_us) == ("baking", 60 * MINUTE_US)
    assert plan_rollout(words, back.progress, proven, 60 * MINUTE_US).progress.stage == 1


def test_a_canary_that_becomes_unwell_while_it_bakes_takes_it_back():
    words = msgspec.structs.replace(WORDS, bake_us=10 * MINUTE_US)
    progress = msgspec.structs.replace(start(), phase="baking", baking_us=1, admitted=(SiteName("s00"),))
    failed = stand(s00=site("s00", taken=True, verdict="failed"))
    assert plan_rollout(words, progress, failed, MINUTE_US).progress.phase == "rolled-back"


def test_named_canary_sites_are_the_canary_also_when_cut_off():
    words = msgspec.structs.replace(WORDS, canary_sites=("lab=true",))
    lab = {name: site(name, is_canary=True, silent=name == "s04") for name in ("s03", "s04")}
    turn = plan_rollout(words, start(), stand(**lab), MINUTE_US)
    assert names(turn.progress) == ["s03", "s04"]


def test_an_approval_is_waited_for_and_given_once_for_each_stage():
    words = msgspec.structs.replace(WORDS, approve="each-wave")
    seen = play(words, {})
    assert (seen[-1].phase, seen[-1].stage, len(seen[-1].admitted)) == ("approval", 0, 1)
    proven = tuple(msgspec.structs.replace(each, taken=True, verdict="proven") for each in stand())
    progress = plan_rollout(words, promote(words, seen[-1]), proven, MINUTE_US).progress
    assert (progress.phase, progress.stage) == ("approval", 1)
    only_canary = msgspec.structs.replace(words, approve="canary")
    assert plan_rollout(only_canary, promote(only_canary, seen[-1]), proven, MINUTE_US).progress.phase == "done"


def test_a_person_pauses_goes_on_and_aborts():
    running = plan_rollout(WORDS, start(), stand(), MINUTE_US).progress
    paused = pause(running, "lunch")
    proven = tuple(msgspec.structs.replace(each, taken=True, verdict="proven") for each in stand())
    assert plan_rollout(WORDS, paused, proven, MINUTE_US).progress == paused
    assert plan_rollout(WORDS, promote(WORDS, paused), proven, MINUTE_US).progress.phase == "done"
    aborted = plan_rollout(WORDS, abort(running, "wrong price list"), proven, MINUTE_US)
    assert aborted.progress.phase == "aborted"
    assert aborted.back == {"s00": OLD}
    assert len(aborted.waiting) == 19
    assert abort(play(WORDS, {})[-1], "too late").phase == "done"


def test_deciding_again_changes_nothing():
    for progress in play(WORDS, {"s05": site("s05", taken=True, verdict="failed")}):
        again = plan_rollout(WORDS, progress, stand(), MINUTE_US).progress
        assert plan_rollout(WORDS, again, stand(), MINUTE_US).progress == again


@pytest.mark.parametrize("total", [0, 1, 2, 3, 7, 100])
def test_shares_are_rounded_up_for_stages_and_down_for_failures(total: int):
    share = Share(permille=20)
    assert share.of(total) >= share.at_most(total)
    assert share.of(total) == min(total, -(-total // 50))
    assert Share(sites=5).of(total) == min(5, total)


def test_an_app_without_sites_is_done_with_nothing_to_do():
    assert plan_rollout(WORDS, start(), (), MINUTE_US).progress.phase == "done"


def test_a_rollout_to_all_at_once_leaves_each_site_to_its_own_gate():
    """What ``failure_action: rollback`` of a service makes: nobody waits, and one site's failure is its own."""
    words = Rollout(canary=Share(), bake_us=0, waves=(Share(permille=1000),), max_failed=Share(permille=1000))
    first = plan_rollout(words, start(), stand(), MINUTE_US)
    assert len(first.progress.admitted) == len(EVERYBODY)
    assert first.waiting == {}
    failed = {name: site(name, taken=True, verdict="failed") for name in EVERYBODY[:12]}
    last = play(words, failed)[-1]
    assert last.phase == "done"
    assert plan_rollout(words, last, stand(**failed), MINUTE_US).back == {}
