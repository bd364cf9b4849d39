"""Many drivers as one: merged looks, and an action done by all that do its kind."""

import asyncio

from tests.plan import scenery

from skerry.agent.perform import Performer
from skerry.model.ids import Digest
from skerry.model.observed import NetworkSeen, Observation
from skerry.plan.actions import DONE, Action, CheckHealth, DropBlobs, Outcome, RemoveImage, failed

DIGEST = scenery.image("1").digest
REMOVE = RemoveImage(image=DIGEST, config=DIGEST)


class Hand:
    """A driver that says what it is told and remembers what it was told to do."""

    performs: tuple[type, ...] = (RemoveImage,)

    def __init__(self, name: str, seen: Observation | Exception, outcome: Outcome | Exception = DONE) -> None:
        self.name = name
        self._seen = seen
        self._outcome = outcome
        self.done: list[Action] = []

    async def observe(self) -> Observation:
        if isinstance(self._seen, Exception):
            raise self._seen
        return self._seen

    async def perform(self, action: Action) -> Outcome:
        self.done.append(action)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def network(name: str) -> NetworkSeen:
    return NetworkSeen(tenant=scenery.TENANT, app=scenery.APP, name=name)


def look(*hands: Hand) -> Observation:
    return asyncio.run(Performer(hands).observe())


def perform(action: Action, *hands: Hand) -> Outcome:
    return asyncio.run(Performer(hands).perform(action))


def test_looks_are_put_together():
    one = Hand("one", Observation(driver="one", networks=(network("a"),), arriving={DIGEST: 1}))
    two = Hand("two", Observation(driver="two", networks=(network("b"),), rules=Digest("sha256:r")))
    seen = look(one, two)
    assert [item.name for item in seen.networks] == ["a", "b"]
    assert (seen.rules, seen.arriving, seen.unavailable) == ("sha256:r", {DIGEST: 1}, "")


def test_one_driver_that_cannot_look_makes_the_whole_unavailable_and_is_named():
    seen = look(Hand("good", Observation(driver="good")), Hand("dead", Observation(driver="dead", unavailable="no")))
    assert seen.unavailable == "dead: no"
    seen = look(Hand("bad", RuntimeError("oops")), Hand("good", Observation(driver="good", networks=(network("a"),))))
    assert seen.unavailable == "bad: RuntimeError: oops"


def test_an_action_is_done_by_every_driver_of_its_kind_until_one_fails():
    nothing = Observation(driver="x")
    hands = [Hand("a", nothing), Hand("b", nothing, failed("E-X", "no")), Hand("c", nothing)]
    assert perform(REMOVE, *hands).code == "E-X"
    assert [len(hand.done) for hand in hands] == [1, 1, 0]
    assert perform(REMOVE, hands[0], hands[2]) == DONE


def test_a_driver_that_raises_is_an_outcome():
    outcome = perform(REMOVE, Hand("a", Observation(driver="a"), ValueError("oops")))
    assert (outcome.ok, outcome.code) == (False, "E-DRIVER")
    assert "ValueError: oops" in outcome.reason


def test_an_action_that_nobody_does_is_named():
    outcome = perform(DropBlobs(image=DIGEST, config=DIGEST), Hand("a", Observation(driver="a")))
    assert (outcome.code, "DropBlobs" in outcome.reason) == ("E-NO-DRIVER", True)


def test_the_verdict_of_a_health_check_comes_through():
    hand = Hand("a", Observation(driver="a"), Outcome(ok=True, healthy=False, reason="ill"))
    hand.performs = (CheckHealth,)
    check = CheckHealth(container="c", instance="a/b/c/0", check=scenery.service().healthcheck)
    assert perform(check, hand).healthy is False
