"""Commands after a start: run once for it, told while they run, and nothing is ready before they are done."""

import msgspec
from tests.plan.scenery import World, assign, digest_revision, hold, revision, service

from skerry.model.app import Further, Hook
from skerry.model.observed import HooksSeen
from skerry.plan.actions import RunHooks, StartContainer
from skerry.plan.hooks import CUT_OFF
from skerry.plan.site import plan_site

HOOKS = Further(post_start=(Hook(command=("prepare",)),))


class Node(World):
    """A node that does not run such commands by itself."""

    def __init__(self, tag="1", further=HOOKS):
        app = revision(1, web=service(tag, further=further))
        super().__init__(hold(app, assign(app, "web"), revisions={digest_revision(app): app}))

    def do(self, action):
        super().do(action)
        if isinstance(action, StartContainer):
            self.put(began_us=self.now.boot_us, hooks=None)

    def put(self, **words):
        found = tuple(msgspec.structs.replace(each, **words) for each in self.observed.containers)
        self.observed = msgspec.structs.replace(self.observed, containers=found)

    def watch(self, seconds=20):
        for _ in range(seconds):
            plan = self.step()
            self.advance(1)
        return next(each for each in plan.facts if getattr(each, "instance", "").endswith("/web/0"))

    def asked(self):
        return [each for each in self.performed if isinstance(each, RunHooks)]


def test_they_are_asked_for_until_they_have_begun_and_nothing_is_ready_before_they_are_done():
    node = Node()
    fact = node.watch()
    assert (fact.phase, fact.reason) == ("starting", "its post_start commands have not run yet")
    (began,) = {each.began_us for each in node.asked()}
    assert began == node.observed.containers[0].began_us
    node.put(hooks=HooksSeen("done"))
    node.performed.clear()
    assert node.watch().phase == "ready"
    assert node.asked() == []


def test_while_they_run_nothing_else_is_asked_for():
    node = Node()
    node.watch()
    node.put(hooks=HooksSeen("begun"))
    node.performed.clear()
    lanes = frozenset({f"instance/{node.observed.containers[0].instance}"})
    plan = plan_site(node.held, node.observed, node.history, node.now, lanes)
    (fact,) = [each for each in plan.facts if getattr(each, "instance", "")]
    assert (fact.phase, fact.reason) == ("starting", "its post_start commands run")


def test_those_that_were_cut_off_or_failed_leave_it_running_and_unwell_and_are_not_run_again():
    for hooks, reason in ((HooksSeen("begun"), CUT_OFF), (HooksSeen("failed", "no"), "no")):
        node = Node()
        node.watch()
        node.put(hooks=hooks)
        node.performed.clear()
        fact = node.watch()
        assert (fact.phase, fact.reason) == ("unhealthy", reason)
        assert node.performed == []
        assert node.running() == ["web"]


def test_another_start_runs_them_afresh():
    node = Node()
    node.watch()
    node.put(hooks=HooksSeen("done"))
    node.watch()
    node.performed.clear()
    node.crash("web")
    node.watch(60)
    assert {each.began_us for each in node.asked()} == {node.observed.containers[0].began_us}
