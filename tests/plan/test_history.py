"""What a node concludes from looks and outcomes."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.scenery import SECOND

from skerry.model import limits
from skerry.model.app import HealthCheck
from skerry.model.ids import Digest, InstanceId
from skerry.model.instance import InstanceSpec, spec_digest
from skerry.model.observed import ContainerSeen, Observation
from skerry.plan.actions import CheckHealth, Outcome, StartContainer, failed, instance_lane
from skerry.plan.history import History, Run, forget_runs, note_observed, note_outcome

IMAGE = scenery.image("1")
SPEC = InstanceSpec(
    tenant=scenery.TENANT,
    app=scenery.APP,
    service="web",
    ordinal=0,
    image=IMAGE.digest,
    image_config=IMAGE.config,
    image_size_bytes=1,
)
DIGEST = spec_digest(SPEC)
WEB = SPEC.id
CHECK = HealthCheck(test=("CMD", "true"), interval_us=30 * SECOND, retries=2)
EMPTY = History(boot="b1")


def seen(state: str, container: str = "c1", spec: Digest = DIGEST, code: int = 0) -> Observation:
    item = ContainerSeen(
        container=container,
        instance=WEB,
        tenant=SPEC.tenant,
        app=SPEC.app,
        service=SPEC.service,
        ordinal=0,
        spec=spec,
        image_config=SPEC.image_config,
        state=state,
        exit_code=code,
    )
    return Observation(driver="test", containers=(item,))


def start(container: str = "c1") -> StartContainer:
    return StartContainer(container=container, spec=SPEC, spec_digest=DIGEST, uid_start=200_000)


def health(history: History, outcome: Outcome, at_s: int, check: HealthCheck = CHECK) -> Run:
    action = CheckHealth(container="c1", instance=WEB, check=check)
    return note_outcome(history, action, outcome, at_s * SECOND).runs[WEB]


def test_an_end_is_a_failure_and_each_makes_the_pause_longer():
    history, pauses = EMPTY, []
    for turn in range(1, 12):
        now = turn * 1000 * SECOND
        history = note_outcome(history, start(), Outcome(ok=True), now)
        history = note_observed(history, seen("running"), now)
        history = note_observed(history, seen("exited", code=1), now + SECOND)
        pauses.append(history.runs[WEB].not_before_us - now - SECOND)
    assert pauses[:4] == [500_000, 1_000_000, 2_000_000, 4_000_000]
    assert pauses[-1] == limits.RESTART_DELAY_US_MAX
    assert history.runs[WEB].restarts == 10


def test_a_long_life_is_forgiven_the_failures_before():
    history = note_observed(EMPTY, seen("running"), 0)
    history = note_observed(history, seen("exited"), SECOND)
    history = note_observed(history, seen("running"), 2 * SECOND)
    history = note_observed(history, seen("exited"), 2 * SECOND + limits.RESTART_RESET_US)
    assert history.runs[WEB].failures == 1


def test_an_end_before_the_first_look_is_a_failure_too():
    history = note_outcome(EMPTY, start(), Outcome(ok=True), 10 * SECOND)
    history = note_observed(history, seen("exited", code=3), 10 * SECOND + 60_000)
    run = history.runs[WEB]
    assert (run.running, run.failures, run.exit_code) == (False, 1, 3)
    assert run.not_before_us > 10 * SECOND + 60_000


def test_a_look_taken_during_a_start_is_not_believed():
    busy = frozenset({instance_lane(WEB)})
    history = note_outcome(EMPTY, start(), Outcome(ok=True), 10 * SECOND)
    assert note_observed(history, seen("exited"), 11 * SECOND, busy).runs == history.runs
    gone = Observation(driver="test")
    assert note_observed(history, gone, 11 * SECOND, busy).runs == history.runs
    assert not note_observed(history, gone, 11 * SECOND).runs[WEB].running


def test_what_cannot_be_read_changes_nothing():
    history = note_observed(EMPTY, seen("running"), 0)
    assert note_observed(history, Observation(driver="test", unavailable="dead"), SECOND) == history


def test_a_copy_beside_the_running_one_does_not_replace_it():
    history = note_observed(EMPTY, seen("running"), 0)
    both = Observation(driver="test", containers=seen("exited", "c0").containers + seen("running").containers)
    assert note_observed(history, both, SECOND).runs[WEB].container == "c1"
    other = seen("created", "c2", spec=IMAGE.digest)
    assert note_observed(history, other, SECOND).runs[WEB].running


def test_a_lane_in_trouble_backs_off_and_a_success_clears_it():
    history = EMPTY
    for turn in (1, 2, 3):
        history = note_outcome(history, start(), failed("E-PORT-IN-USE", "80"), turn * SECOND)
        assert history.troubles[instance_lane(WEB)].count == turn
    assert note_outcome(history, start(), Outcome(ok=True), 9 * SECOND).troubles == {}


def test_old_troubles_are_forgotten():
    history = note_outcome(EMPTY, start(), failed("E-X", "x"), SECOND)
    nothing = Observation(driver="test")
    assert note_observed(history, nothing, 60 * SECOND).troubles
    assert not note_observed(history, nothing, 2 * limits.RESTART_RESET_US).troubles


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([True], "healthy"),
        ([False], "starting"),
        ([False, False], "unhealthy"),
        ([True, False], "healthy"),
        ([True, False, False], "unhealthy"),
        ([False, False, True], "healthy"),
    ],
)
def test_health_needs_as_many_failures_as_retries(outcomes: list[bool], expected: str):
    history = note_observed(EMPTY, seen("running"), 0)
    for turn, well in enumerate(outcomes):
        action = CheckHealth(container="c1", instance=WEB, check=CHECK)
        history = note_outcome(history, action, Outcome(ok=True, healthy=well, reason="no"), turn * SECOND)
    assert history.runs[WEB].health == expected


def test_failures_in_the_start_period_do_not_count():
    check = msgspec.structs.replace(CHECK, start_period_us=60 * SECOND, start_interval_us=2 * SECOND)
    history = note_observed(EMPTY, seen("running"), 0)
    run = health(history, Outcome(ok=True, healthy=False, reason="not yet"), 10, check)
    assert (run.health, run.health_failures, run.next_check_us) == ("starting", 0, 12 * SECOND)


def test_a_runtime_in_trouble_says_nothing_about_health():
    history = note_observed(EMPTY, seen("running"), 0)
    run = health(history, failed("E-TIMEOUT", "podman does not answer"), 1)
    assert (run.health, run.health_failures) == ("none", 0)
    assert run.next_check_us == 31 * SECOND


def test_checks_are_never_closer_than_a_second():
    history = note_observed(EMPTY, seen("running"), 0)
    run = health(history, Outcome(ok=True, healthy=True), 1, msgspec.structs.replace(CHECK, interval_us=0))
    assert run.next_check_us == 2 * SECOND


def test_a_check_of_a_container_that_is_gone_changes_nothing():
    history = note_observed(EMPTY, seen("running", "c9"), 0)
    action = CheckHealth(container="c1", instance=WEB, check=CHECK)
    assert note_outcome(history, action, Outcome(ok=True, healthy=False), SECOND).runs == history.runs


def test_runs_of_instances_that_are_gone_are_dropped():
    history = note_observed(EMPTY, seen("running"), 0)
    assert forget_runs(history, frozenset({WEB})) is history
    assert forget_runs(history, frozenset({InstanceId("a/b/c/0")})).runs == {}
