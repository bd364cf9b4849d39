"""A revision waits for its window, what was there goes on, and what was begun is ended."""

import msgspec
import pytest
from tests.plan.scenery import SECOND, World, assign, digest_revision, hold, image, revision, service

from skerry.model.app import Placement, Replicas
from skerry.model.entrance import Entrance
from skerry.model.rollout import Gate, Rollout, TimeWindow
from skerry.plan.site_plan import Now
from skerry.plan.windows import TIME_UNKNOWN, judge_windows

HOUR, DAY = 3_600, 86_400
#: Tuesday, 1 January 2030, midnight.
MIDNIGHT = 1_893_456_000
NIGHT = TimeWindow(120, 300, zone="utc")
WORDS = Rollout(gate=Gate(healthy_us=60 * SECOND, timeout_us=300 * SECOND), windows=(NIGHT,))


def judge(window, seconds, offset_us=None):
    return judge_windows((window,), Now(1, (MIDNIGHT + int(seconds)) * SECOND, offset_us))


@pytest.mark.parametrize(
    ("window", "hours", "opens_in"),
    [
        (NIGHT, 0, 2),
        (NIGHT, 2, 0),
        (NIGHT, 4.99, 0),
        (NIGHT, 5, 21),
        (TimeWindow(1320, 300, zone="utc"), 0, 0),
        (TimeWindow(1320, 300, zone="utc"), 6, 16),
        (TimeWindow(1320, 300, (0,), "utc"), 3, 0),
        (TimeWindow(1320, 300, (1,), "utc"), 3, 19),
        (TimeWindow(120, 300, (0,), "utc"), 3, 6 * 24 - 1),
        (TimeWindow(120, 300, (1,), "utc"), 3, 0),
        (TimeWindow(0, 1440, zone="utc"), 23.99, 0),
    ],
)
def test_when_a_window_is_open(window, hours, opens_in):
    reason, left_us = judge(window, hours * HOUR)
    assert (left_us, bool(reason)) == (opens_in * HOUR * SECOND, opens_in > 0)


def test_local_time_is_that_of_the_site():
    local = TimeWindow(120, 300)
    assert judge(local, 0, offset_us=2 * HOUR * SECOND) == ("", 0)
    assert judge(local, 0, offset_us=-HOUR * SECOND)[1] == 3 * HOUR * SECOND
    assert "no label timezone" in judge(local, 3 * HOUR)[0]


def test_the_first_of_several_counts():
    windows = (NIGHT, TimeWindow(60, 90, zone="utc"))
    assert judge_windows(windows, Now(1, MIDNIGHT * SECOND))[1] == HOUR * SECOND


class Node(World):
    """A node that runs a proven revision 1, at midnight; it journals what an agent would."""

    def __init__(self, *, proven: bool = True) -> None:
        once = Placement(replicas=Replicas(per_site=1))
        self.one = revision(1, web=service("1", placement=once))
        self.two = msgspec.structs.replace(revision(2, web=service("2", placement=once)), rollout=WORDS)
        super().__init__(self._holding(self.one))
        self.tell_time(MIDNIGHT)
        if proven:
            self.settle()
            self.settle()

    def _holding(self, app):
        fallbacks = {digest_revision(each): each for each in (self.one, self.two)}
        return hold(app, assign(app, "web"), revisions={digest_revision(app): app}, fallbacks=fallbacks)

    def tell_time(self, seconds: float) -> None:
        self.now = msgspec.structs.replace(self.now, trust_us=int(seconds) * SECOND)

    def advance(self, seconds: float) -> None:
        trust_us = self.now.trust_us
        super().advance(seconds)
        self.now = msgspec.structs.replace(self.now, trust_us=trust_us + int(seconds * SECOND) if trust_us else 0)

    def look(self):
        plan = super().look()
        kept = msgspec.structs.replace(self.history.kept, judged={**self.history.kept.judged, **plan.judged})
        self.history = msgspec.structs.replace(self.history, kept=kept, watches=plan.watches)
        return plan

    def wish_two(self) -> None:
        self.held = self._holding(self.two)
        self.work()

    def work(self) -> None:
        """Do all that there is to do now; a site that waits for a window is not settled."""
        for _ in range(12):
            self.step()

    def image(self) -> str:
        return next(seen.image_config for seen in self.observed.containers if seen.state == "running")

    def told(self):
        return next(fact for fact in self.look().facts if type(fact).__name__ == "AppFact")


def test_until_the_window_opens_what_is_proven_runs_and_the_image_is_fetched() -> None:
    node = Node()
    node.wish_two()
    assert node.image() == image("1").config
    assert image("2").config in {seen.config for seen in node.observed.images}
    told = node.told()
    assert (told.number, told.verdict, told.reason) == (2, "none", "its window is closed for another 2 h")
    assert told.fallback == digest_revision(node.one)
    assert node.look().wake_us == node.now.boot_us + (MIDNIGHT + 2 * HOUR) * SECOND - node.now.trust_us


def test_what_is_proven_is_started_again_meanwhile() -> None:
    node = Node()
    node.wish_two()
    (seen,) = node.observed.containers
    node.observed = node._with_state(seen.container, "exited", 1)
    node.work()
    node.advance(60)
    node.work()
    assert node.image() == image("1").config


def test_in_the_window_it_comes_and_is_judged() -> None:
    node = Node()
    node.wish_two()
    node.advance(2 * HOUR)
    node.work()
    assert node.image() == image("2").config
    assert node.told().verdict == "watching"
    node.advance(61)
    node.step()
    assert node.told().verdict == "proven"
    node.advance(10 * HOUR)
    node.work()
    assert node.image() == image("2").config


def test_what_was_begun_is_ended_after_the_window() -> None:
    node = Node()
    node.wish_two()
    node.tell_time(MIDNIGHT + 5 * HOUR - 60)
    while image("2").config not in {seen.image_config for seen in node.observed.containers}:
        assert node.step().actions
    node.advance(60)
    node.work()
    assert node.image() == image("2").config


def test_a_site_that_does_not_know_the_time_waits_and_says_so() -> None:
    node = Node()
    node.tell_time(0)
    node.wish_two()
    assert node.image() == image("1").config
    assert "does not know the time" in node.told().reason
    assert TIME_UNKNOWN in {wait.subject for wait in node.look().waits}, "so that its core tells it"
    node.tell_time(MIDNIGHT)
    assert TIME_UNKNOWN not in {wait.subject for wait in node.look().waits}


def test_where_nothing_is_proven_nothing_is_started() -> None:
    node = Node(proven=False)
    node.wish_two()
    assert node.running() == []
    assert image("2").config in {seen.config for seen in node.observed.images}
    fact = next(fact for fact in node.look().facts if type(fact).__name__ == "InstanceFact")
    assert (fact.phase, fact.reason) == ("waiting", "its window is closed for another 2 h")
    node.advance(2 * HOUR)
    node.work()
    assert node.image() == image("2").config


def test_a_revision_that_changes_nothing_here_waits_for_nothing() -> None:
    node = Node()
    node.two = msgspec.structs.replace(node.one, number=2, rollout=WORDS)
    node.wish_two()
    assert node.told().verdict in ("watching", "proven")


def test_without_prefetch_the_image_waits_too() -> None:
    node = Node()
    node.two = msgspec.structs.replace(node.two, rollout=msgspec.structs.replace(WORDS, prefetch=False))
    node.wish_two()
    assert image("2").config not in {seen.config for seen in node.observed.images}


def test_a_new_way_in_to_what_stays_as_it_is_waits_too_and_stays_once_it_was_begun() -> None:
    node = Node()
    web = msgspec.structs.replace(node.one.services["web"], entrance=(Entrance(port=80, host="shop.example"),))
    node.two = msgspec.structs.replace(node.one, number=2, rollout=WORDS, services={"web": web})
    node.wish_two()
    assert (node.told().verdict, "window" in node.told().reason) == ("none", True)
    node.tell_time(MIDNIGHT + 5 * HOUR - 1)
    node.look()
    node.tell_time(MIDNIGHT + 5 * HOUR)
    node.work()
    assert node.told().verdict == "watching"


def test_what_only_goes_away_stays_away_after_the_window() -> None:
    node = Node(proven=False)
    node.one = revision(1, web=node.one.services["web"], db=node.one.services["web"])
    node.two = msgspec.structs.replace(node.one, number=2, rollout=WORDS, services={"web": node.one.services["web"]})
    fallbacks = {digest_revision(each): each for each in (node.one, node.two)}

    def wish(app) -> None:
        units = [assign(app, name) for name in app.services]
        node.held = hold(app, *units, revisions={digest_revision(app): app}, fallbacks=fallbacks)
        node.work()

    wish(node.one)
    wish(node.two)
    assert len(node.running()) == 2
    node.tell_time(MIDNIGHT + 5 * HOUR - 1)
    node.work()
    assert len(node.running()) == 1
    node.tell_time(MIDNIGHT + 5 * HOUR)
    node.work()
    assert len(node.running()) == 1
