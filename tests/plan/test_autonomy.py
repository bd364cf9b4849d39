"""What an app wishes of a site that is cut off."""

import msgspec
from tests.plan.scenery import SECOND, World, assign, digest_revision, hold, revision, service

from skerry.model.policy import Autonomy, Policy
from skerry.plan.autonomy import AWAY_MARK_US, note_contact
from skerry.plan.history import Contact, Grace
from skerry.plan.site_plan import SitePlan

DAY = 86_400


class Node(World):
    """A node with one app, which keeps its memory of contacts as an agent does."""

    is_answered = True

    def __init__(self, autonomy: Autonomy | None, boot: str = "boot-1") -> None:
        one = service(policy=Policy(autonomy=autonomy)) if autonomy else service()
        app = revision(1, web=one)
        super().__init__(hold(app, assign(app, "web"), revisions={digest_revision(app): app}), boot)

    def look(self) -> SitePlan:
        plan = super().look()
        if plan.contact is not None:
            kept = msgspec.structs.replace(self.history.kept, contact=plan.contact)
            self.history = msgspec.structs.replace(self.history, kept=kept)
        return plan

    def link(self, linked: bool) -> None:
        self.held = msgspec.structs.replace(self.held, linked=linked)

    def reboot(self, boot: str) -> None:
        """Everything stops; boot-time memory is gone and the clock begins again."""
        stopped = tuple(msgspec.structs.replace(seen, state="exited") for seen in self.observed.containers)
        self.observed = msgspec.structs.replace(self.observed, containers=stopped)
        self.history = msgspec.structs.replace(self.history, boot=boot, runs={}, troubles={}, watches={})
        self.now = msgspec.structs.replace(self.now, boot_us=SECOND)

    def pass_time(self, seconds: int, step: int = 300) -> None:
        for _ in range(0, seconds, step):
            self.step()
            self.advance(step)
        self.step()
        self.step()

    def runs(self) -> bool:
        return any(seen.state == "running" for seen in self.observed.containers)

    def reason(self) -> str:
        return next(fact.reason for fact in self.look().facts if type(fact).__name__ == "InstanceFact")


def test_by_default_nothing_stops_and_nothing_is_remembered() -> None:
    node = Node(None)
    node.settle()
    node.link(False)
    node.pass_time(400 * DAY, 10 * DAY)
    assert node.runs()
    assert node.history.kept.contact == Contact()


def test_stop_after_stops_in_order_and_starts_again_when_the_core_is_heard() -> None:
    node = Node(Autonomy(offline="stop-after", max_offline_us=2 * DAY * SECOND))
    node.settle()
    node.link(False)
    node.pass_time(2 * DAY - 3000)
    assert node.runs()
    node.pass_time(3600)
    assert not node.runs()
    assert node.reason() == "cut off for longer than 2d: it stops, as its owner wishes"
    node.link(True)
    node.settle()
    assert node.runs()


def test_the_time_away_is_counted_over_reboots_and_not_while_the_machine_is_off() -> None:
    node = Node(Autonomy(offline="stop-after", max_offline_us=DAY * SECOND))
    node.settle()
    node.link(False)
    node.pass_time(DAY // 2)
    node.reboot("boot-2")
    node.pass_time(DAY // 2 - 7200)
    assert node.runs()
    node.pass_time(2 * 7200)
    assert not node.runs()


def test_keep_running_raises_an_alarm_and_stops_nothing() -> None:
    node = Node(Autonomy(max_offline_us=3600 * SECOND))
    node.settle()
    node.link(False)
    node.pass_time(3000)
    assert node.look().waits == ()
    node.pass_time(1200)
    assert node.runs()
    assert [wait.reason for wait in node.look().waits] == ["cut off for longer than 1h; it goes on running"]


def test_a_reboot_while_cut_off_starts_nothing_where_the_owner_wishes_that() -> None:
    node = Node(Autonomy(restart_offline=False))
    node.settle()
    node.link(False)
    node.pass_time(600)
    assert node.runs(), "an agent that loses its link stops nothing"
    node.reboot("boot-2")
    node.pass_time(600)
    assert not node.runs()
    assert node.reason().startswith("the machine started while cut off")
    node.link(True)
    node.settle()
    node.link(False)
    node.pass_time(600)
    assert node.runs(), "it was heard in this boot"


def test_it_is_looked_at_again_when_its_time_is_over() -> None:
    node = Node(Autonomy(offline="stop-after", max_offline_us=100 * SECOND))
    node.settle()
    node.link(False)
    plan = node.step()
    assert plan.wake_us == node.now.boot_us + 100 * SECOND


def test_the_time_away_is_written_down_now_and_then() -> None:
    boot = "b"
    first = note_contact(Contact(heard_boot=boot), linked=False, boot=boot, now_us=SECOND)
    assert first.away == Grace(0, boot, SECOND)
    assert note_contact(first, linked=False, boot=boot, now_us=2 * SECOND) == first
    later = note_contact(first, linked=False, boot=boot, now_us=SECOND + AWAY_MARK_US)
    assert later.away == Grace(AWAY_MARK_US, boot, SECOND + AWAY_MARK_US)
    assert note_contact(later, linked=True, boot=boot, now_us=3 * SECOND) == Contact(heard_boot=boot)


def test_a_boot_without_a_word_counts_from_its_beginning() -> None:
    # The machine was on for a while before its agent was started.
    first = note_contact(Contact(heard_boot="b"), linked=False, boot="c", now_us=500 * SECOND)
    assert first.away == Grace(500 * SECOND, "c", 500 * SECOND)
    again = note_contact(first, linked=False, boot="d", now_us=100 * SECOND)
    assert again.away == Grace(600 * SECOND, "d", 100 * SECOND)


def test_who_kept_no_record_does_not_count_backwards() -> None:
    # The first word of such wishes came just now, however long the machine is on.
    assert note_contact(Contact(), linked=False, boot="b", now_us=500 * SECOND).away == Grace(0, "b", 500 * SECOND)
