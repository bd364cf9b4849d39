"""Certificates that a site gets for itself: when one is asked for, how often it is tried, and what a person is told."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.plan.actions import Action, MakeAccount, ObtainCertificate
from skerry.plan.certificates import APART_US, judge_certificate, plan_certificates
from skerry.plan.history import History, note_outcome
from skerry.plan.site_plan import Now, PlanDraft
from skerry.sim.certificates import FakeAuthority, FakeCertificates

SITE, HOST = "oslo", "shop.example"
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
BEGIN = 1_700_000_000_000_000


class Site:
    """A site that plans as time goes by, with an authority and no agent."""

    def __init__(self, *hosts: str, name: str = SITE) -> None:
        self.hosts, self.name = hosts or (HOST,), name
        self.authority = FakeAuthority()
        self.certificates = FakeCertificates(self.authority, name)
        self.history = History(boot="boot-1")
        self.now_us = 0
        self.is_open = True
        self.done: list[Action] = []

    @property
    def wall_us(self) -> int:
        return BEGIN + self.now_us

    @property
    def seen(self):
        return self.certificates.observe(self.wall_us)

    def look(self) -> PlanDraft:
        draft = PlanDraft(self.history, Now(boot_us=1 + self.now_us))
        plan_certificates(draft, self.hosts, self.seen, self.name, is_open=self.is_open)
        return draft

    def step(self) -> bool:
        """Do what is planned, or go to when the plan wants to look again; say whether there was either."""
        draft = self.look()
        for action in draft.actions:
            outcome = self.certificates.perform(action, self.wall_us)
            self.history = note_outcome(self.history, action, outcome, 1 + self.now_us)
            self.done.append(action)
        if not draft.actions and draft.wake_us:
            self.now_us = max(draft.wake_us - 1, self.now_us + 1)
        return bool(draft.actions or draft.wake_us)

    def run(self, until_us: int) -> None:
        while self.now_us < until_us and self.step():
            pass

    def ask(self, host: str = HOST) -> list[int]:
        """When the authority was asked for a host."""
        return [at_us - BEGIN for name, at_us in self.authority.orders if name == host]


def test_the_account_comes_first_and_one_host_at_a_time():
    site = Site("b.example", "a.example")
    site.run(DAY)
    assert site.done == [MakeAccount(), ObtainCertificate(host="a.example"), ObtainCertificate(host="b.example")]
    (first,), (second,) = site.ask("a.example"), site.ask("b.example")
    assert second - first >= APART_US
    assert judge_certificate("a.example", site.seen, SITE).why == ""


@pytest.mark.parametrize("reason", ["terms", ""])
def test_nothing_is_asked_while_it_cannot_be_or_nobody_would_answer(reason: str):
    site = Site()
    site.certificates.reason = reason
    site.is_open = not reason and False
    site.run(DAY)
    assert site.authority.orders == []
    assert judge_certificate(HOST, site.seen, SITE).why.startswith(f"{HOST} has no certificate yet")


def test_a_site_without_a_wish_or_a_driver_does_nothing():
    draft = PlanDraft(History(boot="b"), Now(boot_us=1))
    plan_certificates(draft, (), FakeCertificates(FakeAuthority()).observe(BEGIN), SITE, is_open=True)
    plan_certificates(draft, (HOST,), None, SITE, is_open=True)
    assert (draft.actions, draft.wake_us) == ([], 0)
    assert "nothing at this node" in judge_certificate(HOST, None, SITE).why


def test_the_next_one_is_asked_for_when_a_third_is_left_and_sites_spread():
    renewals: set[int] = set()
    for number in range(20):
        site = Site(name=f"site-{number}")
        site.run(70 * DAY)
        first, second = site.ask()
        assert first == 0
        assert 57 * DAY <= second <= 60 * DAY
        renewals.add(second)
    assert len(renewals) > 15
    assert max(renewals) - min(renewals) > DAY


def test_what_is_held_is_shown_until_the_authority_is_there_again_and_people_are_told():
    site = Site()
    site.run(10 * DAY)
    held = judge_certificate(HOST, site.seen, SITE)
    site.authority.is_there = False
    site.run(62 * DAY)
    now = judge_certificate(HOST, site.seen, SITE)
    assert now.version == held.version
    said = f"the certificate of {HOST} holds for 27 days more and could not be renewed"
    assert now.why == f"{said}: the authority is not reached"
    site.run(91 * DAY)
    ended = judge_certificate(HOST, site.seen, SITE)
    assert ended.version == held.version
    assert ended.why == f"the certificate of {HOST} has ended: the authority is not reached"
    site.authority.is_there = True
    back_us = site.now_us
    site.run(92 * DAY)
    assert site.ask()[-1] - back_us <= 80 * MINUTE
    assert judge_certificate(HOST, site.seen, SITE).why == ""


def test_a_host_that_leads_elsewhere_is_tried_later_and_later_and_told():
    site = Site()
    site.authority.refused[HOST] = "it leads elsewhere"
    site.run(7 * DAY)
    asked = site.ask()
    assert 14 <= len(asked) <= 22
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert min(gaps) >= 15 * MINUTE
    assert max(gaps) <= 16 * HOUR
    assert "it leads elsewhere" in judge_certificate(HOST, site.seen, SITE).why


@given(st.lists(st.sampled_from(["a.example", "b.example", "c.example"]), unique=True), st.booleans())
def test_the_limits_of_the_authority_are_kept(refused: list[str], later: bool):
    """Five failures of a host an hour, 300 orders in three hours, five certificates of a name in a week."""
    site = Site("a.example", "b.example", "c.example")
    site.authority.refused = dict.fromkeys(refused, "no")
    site.run(DAY)
    if later:
        site.authority.refused = {}
        site.run(8 * DAY)
    for host in site.hosts:
        asked = site.ask(host)
        assert all(sum(at <= other < at + HOUR for other in asked) < 5 for at in asked)
        assert len(asked) == 1 or host in refused
    orders = [at for _, at in site.authority.orders]
    assert all(sum(at <= other < at + 3 * HOUR for other in orders) < 300 for at in orders)


def test_a_clock_that_was_wrong_is_not_waited_for():
    site = Site()
    site.authority.refused[HOST] = "no"
    site.run(HOUR)
    site.authority.refused = {}
    for jump_us in (-400 * DAY, 400 * DAY):
        seen = msgspec.structs.replace(site.seen, wall_us=site.wall_us + jump_us)
        assert judge_certificate(HOST, seen, SITE).due_us <= seen.wall_us
        draft = PlanDraft(History(boot="b"), Now(boot_us=1))
        plan_certificates(draft, (HOST,), seen, SITE, is_open=True)
        assert draft.actions == [ObtainCertificate(host=HOST)]
