"""What becomes of instances when their secrets change, and how long a site cut off gives secrets out."""

import msgspec
import pytest
from tests.plan.scenery import SECOND, TENANT, World, assign, digest_revision, hold, record, revision, service

from skerry.model.app import FileMount, SecretUse
from skerry.model.ids import digest_of
from skerry.model.policy import SecretPolicy
from skerry.plan.derive import Derived, derive_instance
from skerry.plan.history import Grace
from skerry.plan.site_plan import SitePlan

DAY = 86_400
OLD, NEW = digest_of(b"sealed"), digest_of(b"sealed again")
KEY = FileMount(source="key", target="/run/secrets/key")


def wish(**policy):
    use = SecretUse(name="till-key", policy=SecretPolicy(**policy) if policy else msgspec.UNSET)
    return msgspec.structs.replace(revision(1, web=service(secrets=(KEY,))), secrets={"key": use})


class Node(World):
    """A node with one app that uses one secret; it keeps its memory of contacts as an agent does."""

    is_answered = True

    def __init__(self, **policy: object) -> None:
        app = wish(**policy)
        held = hold(app, assign(app, "web"), revisions={digest_revision(app): app}, secrets={(TENANT, "till-key"): OLD})
        super().__init__(held)

    def look(self) -> SitePlan:
        plan = super().look()
        if plan.contact is not None:
            kept = msgspec.structs.replace(self.history.kept, contact=plan.contact)
            self.history = msgspec.structs.replace(self.history, kept=kept)
        return plan

    def rotate(self) -> list[str]:
        """Let a new version come; return what was done about it."""
        self.settle()
        self.performed.clear()
        self.held = msgspec.structs.replace(self.held, secrets={(TENANT, "till-key"): NEW})
        self.settle()
        return self.kinds()

    def cut_off(self, days: float) -> None:
        self.held = msgspec.structs.replace(self.held, linked=False)
        for _ in range(20):
            self.step()
            self.advance(days * DAY / 20)
        self.step()

    def crash(self) -> None:
        (seen,) = self.observed.containers
        self.observed = self._with_state(seen.container, "exited", 1)

    def reason(self) -> str:
        return next(fact.reason for fact in self.look().facts if type(fact).__name__ == "InstanceFact")


@pytest.mark.parametrize("policy", [{}, {"on_rotate": "restart"}, {"max_offline_us": DAY * SECOND}])
def test_a_new_version_means_another_instance(policy) -> None:
    assert Node(**policy).rotate() == ["CreateContainer", "StopContainer", "StartContainer", "RemoveContainer"]


def test_a_new_version_may_mean_nothing_to_what_runs() -> None:
    node = Node(on_rotate="none")
    assert node.rotate() == []
    node.crash()
    node.settle()
    (start,) = node.performed
    assert start.spec.secrets[0].version == NEW


def test_a_new_version_may_be_told_by_a_signal_once() -> None:
    node = Node(on_rotate="signal:HUP")
    assert node.rotate() == ["RenewSecrets"]
    (told,) = node.performed
    assert (told.signal, told.names) == ("HUP", ("till-key",))
    assert node.running() == ["web"]
    node.rotate()
    assert node.performed == []


def test_whoever_starts_with_the_newest_need_not_be_told() -> None:
    node = Node(on_rotate="signal:HUP")
    node.settle()
    node.crash()
    node.held = msgspec.structs.replace(node.held, secrets={(TENANT, "till-key"): NEW})
    node.performed.clear()
    node.settle()
    assert node.kinds() == ["StartContainer"]


def test_cut_off_for_too_long_a_site_starts_nothing_with_the_secret_and_ends_nothing() -> None:
    node = Node(max_offline_us=30 * DAY * SECOND)
    node.settle()
    node.cut_off(31)
    assert node.running() == ["web"]
    node.crash()
    node.cut_off(1)
    assert node.running() == []
    assert node.reason() == "secret till-key is not given out by a site cut off for so long"
    node.held = msgspec.structs.replace(node.held, linked=True)
    node.settle()
    assert node.running() == ["web"]


def test_a_day_before_that_it_is_given_out_and_the_plan_wakes_in_time() -> None:
    node = Node(max_offline_us=30 * DAY * SECOND)
    node.settle()
    node.cut_off(29)
    node.crash()
    node.settle()
    assert node.running() == ["web"]
    assert 0 < node.look().wake_us <= node.now.boot_us + DAY * SECOND
    assert isinstance(node.history.kept.contact.away, Grace)


def test_a_secret_is_kept_from_sites_that_its_owner_does_not_mean() -> None:
    app = wish(sites=("vault=yes",))
    held = {"till-key": OLD}
    refused = derive_instance(app, assign(app, "web"), record(vault="no"), held)
    assert (refused.code, "kept from this site" in refused.reason) == ("E-SECRET", True)
    assert isinstance(derive_instance(app, assign(app, "web"), record(vault="yes"), held), Derived)
