"""No wish about its own network cuts a node off for good."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.uplinks import Uplink
from skerry.plan.confirm import PATIENCE_US, SETTLE_US, judge_wishes, name_wishes
from skerry.plan.history import Confirming

SECOND = 1_000_000
FIBRE = {"fibre": Uplink(device="eth0")}
SKY = {"sky": Uplink(device="sat0")}


class Node:
    """Judges again and again, and keeps what a journal keeps."""

    def __init__(self, good=FIBRE):
        self.kept = Confirming(good=good)
        self.boot, self.now_us, self.linked_us = "b1", 1_000 * SECOND, 0

    def judge(self, wished, seconds=0):
        self.now_us += seconds * SECOND
        found = judge_wishes(wished, self.kept, linked_us=self.linked_us, boot=self.boot, now_us=self.now_us)
        if found.confirming is not None:
            content = msgspec.msgpack.encode(found.confirming)
            self.kept = msgspec.msgpack.decode(content, type=Confirming)
        return found

    def link(self):
        self.linked_us = self.now_us

    def reboot(self, boot, now_us=5 * SECOND):
        self.boot, self.now_us, self.linked_us = boot, now_us, 0


def test_what_is_proved_is_let_be():
    node = Node()
    node.link()
    found = node.judge(FIBRE)
    assert (dict(found.uplinks), found.confirming, found.wake_us, found.is_trial) == (FIBRE, None, 0, False)


def test_new_wishes_are_proved_by_a_link_made_under_them():
    node = Node()
    node.link()
    begun = node.judge(SKY, 1)
    assert (dict(begun.uplinks), begun.is_trial) == (SKY, True)
    assert node.judge(SKY, 60).is_trial  # the old link says nothing
    node.link()
    found = node.judge(SKY, 1)
    assert not found.is_trial
    assert node.kept == Confirming(good=SKY)


def test_a_link_of_the_first_moments_proves_nothing_yet():
    node = Node()
    node.judge(SKY)
    node.now_us += SECOND
    node.link()
    found = node.judge(SKY, 1)
    assert found.is_trial
    assert found.wake_us == node.now_us + SETTLE_US - 2 * SECOND
    node.linked_us = 0
    assert node.judge(SKY, 40).is_trial
    node.link()
    assert not node.judge(SKY, 1).is_trial


def test_wishes_under_which_nobody_is_heard_are_taken_back_and_not_tried_again():
    node = Node()
    node.judge(SKY)
    assert dict(node.judge(SKY, 299).uplinks) == SKY
    found = node.judge(SKY, 1)
    assert dict(found.uplinks) == FIBRE
    assert "not heard for 300 s" in found.refused_why
    assert found.name == name_wishes(FIBRE)
    node.link()
    again = node.judge(SKY, 100_000)
    assert (dict(again.uplinks), again.confirming, again.refused_why) == (FIBRE, None, found.refused_why)
    other = {"sky": Uplink(device="sat1")}
    assert dict(node.judge(other).uplinks) == other
    assert not node.judge(FIBRE).refused_why
    assert node.kept == Confirming(good=FIBRE)
    assert node.judge(SKY).is_trial  # something else was wished meanwhile


def test_a_trial_goes_on_over_reboots_and_what_passes_while_off_does_not_count():
    node = Node()
    node.judge(SKY)
    for _ in range(4):
        node.judge(SKY, 60)
    node.reboot("b2")
    found = node.judge(SKY)
    assert found.is_trial
    assert dict(node.judge(SKY, 59).uplinks) == SKY
    assert dict(node.judge(SKY, 2).uplinks) == FIBRE


def test_a_link_in_another_boot_was_made_under_the_new_wishes():
    node = Node()
    node.judge(SKY)
    node.judge(SKY, 60)
    node.reboot("b2", now_us=SECOND)
    node.link()
    assert not node.judge(SKY, 1).is_trial
    assert node.kept.good == SKY


def test_uplinks_that_are_taken_out_are_a_wish_like_any_other():
    node = Node()
    node.judge({})
    assert dict(node.judge({}, 301).uplinks) == FIBRE


@given(
    st.lists(st.tuples(st.sampled_from([FIBRE, SKY, {}]), st.integers(0, 400), st.sampled_from("lucr")), max_size=40)
)
def test_whatever_happens_a_node_that_is_not_heard_ends_with_what_was_proved(story):
    node, boots = Node(), 0
    for wished, seconds, event in story:
        before = node.kept.good
        node.judge(wished, seconds)
        # Nothing is called proved under which nobody is heard.
        assert node.kept.good == before or (node.linked_us and node.kept.good == wished)
        if event == "l":
            node.link()
        elif event == "u":
            node.linked_us = 0
        elif event == "r":
            boots += 1
            node.reboot(f"r{boots}")
    node.linked_us = 0
    wished = SKY
    node.judge(wished)
    for _ in range(PATIENCE_US // (60 * SECOND) + 2):
        found = node.judge(wished, 60)
    assert dict(found.uplinks) == node.kept.good
    assert found.wake_us == 0
