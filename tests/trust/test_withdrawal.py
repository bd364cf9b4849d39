"""A document may end what only its tenant may end by the tenant's own word, and in no other way."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people
from tests.trust.people import assign, bury, by_digest, hold_secret, notice, pack, seal, sign

from skerry.model.app import AppRevision, FileMount, Network, NetworkWords, Placement, Replicas, SecretUse, Sites
from skerry.model.document import Assignment, NetworkPart, RevisionNotice, Unit, unit_id
from skerry.model.ids import NetworkName, NodeName, SecretName, ServiceName, SiteName, UnitId
from skerry.model.signed import Envelope
from skerry.trust.held import AcceptedDocument, Held
from skerry.trust.verify import verify_document

WEB = [UnitId(f"assignment/alpha/shop/web/{ordinal}") for ordinal in range(3)]
KEY = UnitId("secret/alpha/till-key")


def wish(
    number: int, *, withdraw: str | None = "tenant", total: int = 2, sites: Sites | None = None, **words
) -> Envelope:
    made = people.make_revision(number)
    service = made.services[ServiceName("web")]
    service = msgspec.structs.replace(
        service, placement=Placement(replicas=Replicas(total=total), sites=sites or Sites()), **words
    )
    secrets = {each.source: SecretUse(name=SecretName(each.source)) for each in service.secrets}
    made = msgspec.structs.replace(
        made,
        services={ServiceName("web"): service},
        secrets=secrets,
        withdraw=withdraw or msgspec.UNSET,
    )
    return sign("revision", made, people.DEPLOY[people.ALPHA])


def show(revision: Envelope) -> RevisionNotice:
    return RevisionNotice(tenant=people.ALPHA, app=people.SHOP, digest=people.name(revision))


class Site:
    """A site that runs two copies of revision 1 and follows documents."""

    def __init__(self, first: Envelope) -> None:
        self.held = people.hold()
        self.objects: dict = {}
        self.generation = 0
        self.follow([assign(first), assign(first, ordinal=1)], first)

    def follow(self, units: list[Unit], *objects: Envelope) -> AcceptedDocument:
        self.generation += 1
        self.objects |= by_digest(*objects)
        bodies = pack(units)
        accepted = self.verify(bodies, self.held)
        assert isinstance(accepted, AcceptedDocument), accepted
        before, self.held = self.held, people.hold_next(self.held, accepted)
        # What the journal gives after a restart is what was held before it.
        again = self.verify(bodies, msgspec.structs.replace(self.held, floors={**self.held.floors}))
        assert isinstance(again, AcceptedDocument), (before, again)
        assert (again.units, again.kept) == (accepted.units, accepted.kept)
        return accepted

    def verify(self, bodies, held: Held):
        head = people.make_head(bodies, self.generation)
        return verify_document(head, bodies, self.objects, held, people.SITE)


def runs(accepted: AcceptedDocument) -> list[UnitId]:
    found = accepted.units.items()
    return [name for name, unit in found if isinstance(unit, Assignment) and unit.state == "run"]


def test_by_default_the_core_withdraws_and_pauses():
    for word in (None, "core"):
        first = wish(1, withdraw=word)
        site = Site(first)
        held = msgspec.structs.replace(assign(first), state="hold")
        assert runs(site.follow([held])) == []
        assert site.follow([]).refused == {}


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_what_the_core_leaves_out_stays_with_a_reason(lost: int):
    first = wish(1)
    site = Site(first)
    units = [assign(first, ordinal=ordinal) for ordinal in range(2 - lost)]
    for _ in range(3):
        accepted = site.follow(units)
        assert runs(accepted) == WEB[:2]
        assert {denied.code for denied in accepted.refused.values()} == ({"E-WITHDRAW"} if lost else set())
        assert len(accepted.kept) == lost
        for denied in accepted.refused.values():
            assert denied.reason.startswith("the core does not wish for it any more, and only its tenant may end it")
    assert site.follow([assign(first), assign(first, ordinal=1)]).refused == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "hold"}, "the core pauses it"),
        ({"node": NodeName("nowhere")}, "the core wants it on nowhere, which this site does not have"),
        ({"instead_of": SiteName("bergen")}, "the core calls it a stand-in"),
    ],
)
def test_a_wish_that_would_stop_it_is_refused(change, reason: str):
    first = wish(1)
    site = Site(first)
    accepted = site.follow([msgspec.structs.replace(assign(first), **change), assign(first, ordinal=1)])
    assert accepted.units[WEB[0]] == assign(first)
    assert accepted.refused[WEB[0]].reason.startswith(reason)
    assert accepted.refused[WEB[0]].code == "E-WITHDRAW"


def test_a_restart_and_a_return_to_what_was_proven_are_the_cores_to_order():
    first = wish(1)
    site = Site(first)
    unit = msgspec.structs.replace(assign(first), restart=3, back=True)
    assert site.follow([unit, assign(first, ordinal=1)]).units[WEB[0]] == unit


def test_what_was_paused_before_the_tenant_forbade_it_stays_paused():
    first, second = wish(1, withdraw=None), wish(2)
    site = Site(first)
    paused = [msgspec.structs.replace(assign(first, ordinal=each), state="hold") for each in (0, 1)]
    site.follow(paused)
    newer = [msgspec.structs.replace(each, revision=people.name(second)) for each in paused]
    assert site.follow(newer, second).refused == {}
    assert runs(site.follow([assign(second), newer[1]])) == WEB[:1]
    assert WEB[0] in site.follow(newer).kept


@pytest.mark.parametrize(
    "second",
    [
        {"total": 1},
        {"sites": Sites(exclude=(people.SITE,)), "total": 1},
        {"withdraw": "core"},
    ],
)
def test_a_newer_revision_ends_what_it_no_longer_wants(second):
    first = wish(1)
    site = Site(first)
    newer = wish(2, **second)
    gone = [WEB[1]] if second == {"total": 1} else WEB[:2]
    accepted = site.follow([show(newer)], newer)
    assert [name for name in WEB[:2] if name not in accepted.units] == gone
    # The word of the tenant need not be said again.
    assert [name for name in WEB[:2] if name not in site.follow([]).units] == gone


def test_a_newer_revision_shown_beside_an_assignment_of_it_is_enough():
    first, second = wish(1), wish(2, total=1)
    accepted = Site(first).follow([assign(second)], second)
    assert runs(accepted) == WEB[:1]
    assert accepted.refused == {}


def test_a_notice_that_still_wants_it_or_is_not_the_tenants_ends_nothing():
    first, second = wish(1), wish(2)
    site = Site(first)
    assert runs(site.follow([show(second)], second)) == WEB[:2]
    forged = sign("revision", people.make_revision(3), people.DEPLOY[people.BETA])
    accepted = site.follow([show(forged)], forged)
    assert accepted.refused[unit_id(show(forged))].code == "E-KEY"
    assert runs(accepted) == WEB[:2]
    # An older word of the tenant, which is below what it has said since, says nothing.
    old = wish(1, withdraw="core")
    assert site.follow([show(old)], old).refused[unit_id(show(old))].code in ("E-STALE", "E-FORK")


def test_a_tombstone_ends_it():
    first, stone = wish(1), bury(2)
    accepted = Site(first).follow([notice(stone)], stone)
    assert runs(accepted) == []
    assert accepted.refused == {}


def test_a_label_that_the_registrar_changed_ends_what_the_tenants_selector_no_longer_admits():
    first = wish(1, sites=Sites(match=("tier=store",)))
    site = Site(first)
    record = people.make_record(2, labels={"tier": "office"})
    site.held = msgspec.structs.replace(site.held, site_record=record)
    assert runs(site.follow([])) == []


def test_a_stand_in_ends_by_the_cores_word():
    first = wish(1)
    site = Site(first)
    stand_in = msgspec.structs.replace(assign(first, ordinal=2), instead_of=SiteName("bergen"))
    every = [assign(first), assign(first, ordinal=1)]
    more = wish(2, total=3)
    every = [msgspec.structs.replace(each, revision=people.name(more)) for each in every]
    stand_in = msgspec.structs.replace(stand_in, revision=people.name(more))
    assert len(runs(site.follow([*every, stand_in], more))) == 3
    accepted = site.follow(every)
    assert runs(accepted) == WEB[:2]
    assert accepted.refused == {}
    # Once it stands for itself it is one like any other.
    site.follow([*every, stand_in])
    site.follow([*every, assign(more, ordinal=2)])
    assert runs(site.follow(every)) == WEB


def test_the_secrets_stay_without_which_it_could_not_start_again():
    secret = seal(1)
    first = wish(1, secrets=(FileMount(source="till-key", target="/run/secrets/till-key"),))
    site = Site(first)
    site.follow([assign(first), assign(first, ordinal=1), hold_secret(secret)], secret)
    accepted = site.follow([])
    assert KEY in accepted.units
    assert accepted.kept == {KEY, *WEB[:2]}
    ended = wish(2, total=1, sites=Sites(exclude=(people.SITE,)))
    assert site.follow([show(ended)], ended).units.keys() == {unit_id(show(ended))}


def test_its_part_of_a_network_over_sites_stays_with_it():
    mesh = NetworkName("mesh")
    made = msgspec.json.decode(wish(1, networks={mesh: ()}).payload, type=AppRevision)
    words = NetworkWords(kind="overlay", scope="app")
    first = sign(
        "revision", msgspec.structs.replace(made, networks={mesh: Network(words=words)}), people.DEPLOY[people.ALPHA]
    )
    site = Site(first)
    part = NetworkPart(tenant=people.ALPHA, app=people.SHOP, network=mesh, index=4)
    assert site.follow([assign(first), assign(first, ordinal=1), part]).units[unit_id(part)] == part
    accepted = site.follow([])
    assert accepted.units[unit_id(part)] == part
    assert unit_id(part) in accepted.kept


UNITS = st.lists(
    st.builds(
        lambda ordinal, number, state, node, home: (ordinal, number, state, node, home),
        st.integers(0, 1),
        st.integers(0, 1),
        st.sampled_from(["run", "hold"]),
        st.sampled_from([people.NODE, NodeName("elsewhere")]),
        st.sampled_from([msgspec.UNSET, SiteName("bergen")]),
    ),
    max_size=3,
)


@given(st.lists(UNITS, max_size=6), st.booleans())
def test_no_document_of_a_core_ends_what_the_tenant_keeps(documents, shows: bool):
    """Whatever a core that has both revisions orders, two copies stay, because both revisions want two."""
    lines = [wish(1), wish(2)]
    site = Site(lines[0])
    for units in documents:
        wished: dict[UnitId, Unit] = {}
        for ordinal, number, state, node, home in units:
            unit = assign(lines[number], ordinal=ordinal)
            unit = msgspec.structs.replace(unit, state=state, node=node, instead_of=home)
            wished[unit_id(unit)] = unit
        if shows:
            wished[unit_id(show(lines[1]))] = show(lines[1])
        accepted = site.follow(list(wished.values()), *lines)
        assert runs(accepted) == WEB[:2]
        for name in WEB[:2]:
            unit = accepted.units[name]
            assert isinstance(unit, Assignment)
            assert (unit.node, unit.instead_of) == (people.NODE, msgspec.UNSET)
