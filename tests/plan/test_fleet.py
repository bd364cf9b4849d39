"""The fleet planner as tables: wishes and sites in, places and reasons out; and properties over generated fleets."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plan.fleets import GIB, Fleet, per_site, revision, service, site, total

from skerry.model.app import FileMount, Mount, SecretUse, Sites, Spread
from skerry.model.document import Assignment, ImageHold, SecretHold, TombstoneNotice
from skerry.model.facts import InstanceFact, VolumeFact
from skerry.model.ids import AppName, KeyId, SecretName, SiteName, TenantName, VolumeId, VolumeName, digest_of
from skerry.model.signed import Tombstone
from skerry.model.site_match import site_unmet
from skerry.plan.fleet import plan_fleet
from skerry.plan.snapshot import SecretWish


def test_one_per_site_goes_to_every_matching_site_now_and_later() -> None:
    fleet = Fleet(site("oslo", 1, labels={"tier": "store"}), site("rome", 2, labels={"tier": "depot"}))
    fleet.wish(revision("shop", web=service(sites=Sites(match=("tier=store",)), replicas=per_site())))
    fleet.plan()
    assert fleet.places() == ["oslo/n1 web.0@1"]
    fleet.sites[SiteName("bonn")] = site("bonn", 3, labels={"tier": "store"})
    fleet.plan()
    assert fleet.places() == ["bonn/n1 web.0@1", "oslo/n1 web.0@1"]


def test_planning_again_yields_nothing_new() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(replicas=per_site(2)), db=service(replicas=total(3))))
    assert [document.site for document in fleet.plan().documents] == ["oslo", "rome"]
    again = fleet.plan()
    assert again.documents == ()
    assert again.changes == ()


def test_total_is_spread_over_nodes_and_keeps_its_places() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(replicas=total(2))))
    fleet.plan()
    assert fleet.places() == ["oslo/n1 web.0@1", "rome/n1 web.1@1"]
    fleet.sites[SiteName("bonn")] = site("bonn", 0)
    fleet.wish(revision("shop", 2, web=service("2", replicas=total(2))))
    fleet.plan()
    assert fleet.places() == ["oslo/n1 web.0@2", "rome/n1 web.1@2"], "a better place is no reason to move"


def test_a_silent_site_keeps_what_it_has_and_gets_nothing_new() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(replicas=total(1))))
    fleet.plan()
    fleet.change("oslo", silent=True)
    fleet.wish(revision("shop", 2, web=service(replicas=total(2), spread=())))
    fleet.plan()
    assert fleet.places() == ["oslo/n1 web.0@2", "rome/n1 web.1@2"]


@pytest.mark.parametrize(
    ("words", "constraint", "detail"),
    [
        ({"sites": Sites(names=("bonn",))}, "site", "sites.names does not list oslo"),
        ({"sites": Sites(exclude=("oslo",))}, "site", "sites.exclude lists oslo"),
        ({"sites": Sites(match=("tier=depot",))}, "label", "sites.match wants tier=depot, the site has store"),
        ({"node": ("arch=arm64",)}, "node", "needs arch=arm64, n1 has amd64"),
        ({"memory": 9 * GIB}, "memory", "needs 9216Mi, has 8192Mi of 8192Mi free"),
        ({"cpu": 4001}, "cpu", "needs 4001m, has 4000m of 4000m free"),
        ({"environment": {"A": "${SKERRY_LABEL_COLOUR}"}}, "variable", "SKERRY_LABEL_COLOUR"),
    ],
)
def test_each_constraint_refuses_by_name(words: dict[str, object], constraint: str, detail: str) -> None:
    fleet = Fleet(site("oslo", 1, labels={"tier": "store"}))
    fleet.wish(revision("shop", web=service(**words)))  # type: ignore[arg-type]
    report = fleet.plan().reports[0]
    assert fleet.places() == []
    rejection = report.refused[0].rejections[0]
    assert rejection.constraint == constraint
    assert detail in rejection.detail
    assert detail in report.refused[0].reason


def test_a_tenant_that_the_record_does_not_admit_is_refused() -> None:
    fleet = Fleet(site("oslo", 1, tenants=("other",)))
    fleet.wish(revision("shop", web=service()))
    assert fleet.plan().reports[0].refused[0].rejections[0].constraint == "tenant"


def test_what_does_not_fit_names_how_many_nodes_fail_for_what() -> None:
    fleet = Fleet(site("oslo", 1, memory=GIB), site("rome", 2, memory=GIB), site("bonn", 3, labels={"big": "yes"}))
    fleet.wish(revision("shop", web=service(memory=2 * GIB, sites=Sites(names=("oslo", "rome")))))
    assert fleet.plan().reports[0].refused[0].reason == "none of 3 nodes can hold it: memory at 2, site at 1"


def test_a_node_that_has_not_reported_admits_everything_and_a_note_says_so() -> None:
    fleet = Fleet(site("oslo", 1, reported=False))
    fleet.wish(revision("shop", web=service(memory=2**50)))
    plan = fleet.plan()
    assert fleet.places() == ["oslo/n1 web.0@1"]
    assert plan.notes == ("oslo/n1 has not reported its size: everything is admitted there",)


def test_a_taken_port_refuses_the_newcomer_and_leaves_the_first() -> None:
    fleet = Fleet(site("oslo", 1))
    fleet.wish(revision("shop", web=service(port=8080, replicas=per_site())))
    fleet.plan()
    fleet.wish(revision("blog", web=service(port=8080, replicas=per_site())))
    report = next(report for report in fleet.plan().reports if report.app == "blog")
    assert fleet.places() == ["oslo/n1 web.0@1"]
    assert report.refused[0].reason == "8080/tcp is taken on oslo/n1"


def test_a_revision_that_does_not_fit_leaves_the_site_at_the_one_it_has_whole() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("blog", web=service(port=9090, sites=Sites(names=("oslo",)))))
    fleet.wish(revision("shop", web=service(port=8080, replicas=per_site()), db=service(replicas=per_site())))
    fleet.plan()
    fleet.wish(revision("shop", 2, web=service(port=9090, replicas=per_site()), db=service("2", replicas=per_site())))
    report = next(report for report in fleet.plan().reports if report.app == "shop")
    assert fleet.places() == ["oslo/n1 db.0@1", "oslo/n1 web.0@1", "rome/n1 db.0@2", "rome/n1 web.0@2"]
    assert [(refused.site, refused.reason) for refused in report.refused] == [("oslo", "9090/tcp is taken on oslo/n1")]
    assert fleet.plan().documents == ()


def test_room_that_one_app_gives_back_lets_another_one_in_within_the_same_plan() -> None:
    fleet = Fleet(site("oslo", 1))
    fleet.wish(revision("zoo", web=service(port=80)))
    fleet.plan()
    fleet.wish(revision("ant", web=service(port=80)))
    fleet.end("zoo", 2)
    fleet.plan()
    assert fleet.places("ant") == ["oslo/n1 web.0@1"]
    assert fleet.places("zoo") == []


def test_counting_room_short_never_stops_what_runs() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(memory=4 * GIB, sites=Sites(names=("oslo",)))))
    fleet.plan()
    shrunk = site("oslo", 1, memory=GIB)
    fleet.change("oslo", nodes=shrunk.nodes)
    assert fleet.plan().documents == ()


def test_an_instance_with_a_volume_is_not_moved_for_want_of_room() -> None:
    data = Mount(kind="volume", target="/data", source="data")
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(memory=GIB, mounts=(data,))))
    fleet.plan()
    fleet.wish(revision("shop", 2, web=service(memory=9 * GIB, mounts=(data,))))
    report = fleet.plan().reports[0]
    assert fleet.places() == ["oslo/n1 web.0@1"]
    assert report.refused[0].rejections[0].constraint == "memory"


def test_an_instance_without_data_moves_when_its_new_size_fits_elsewhere() -> None:
    fleet = Fleet(site("oslo", 1, memory=GIB), site("rome", 2))
    fleet.wish(revision("shop", web=service(memory=GIB)))
    fleet.plan()
    assert fleet.places() == ["rome/n1 web.0@1"], "level filling prefers the larger node"
    fleet.wish(revision("shop", 2, web=service(memory=GIB // 2, sites=Sites(names=("oslo",)))))
    fleet.plan()
    fleet.wish(revision("shop", 3, web=service(memory=4 * GIB)))
    fleet.plan()
    assert fleet.places() == ["rome/n1 web.0@3"]


def test_required_spread_refuses_rather_than_skews() -> None:
    fleet = Fleet(site("oslo", 1, region="north"), site("rome", 2, region="south"))
    spread = (Spread(by="region", max_skew=1, require=True),)
    fleet.wish(revision("shop", web=service(replicas=total(3), port=80, spread=spread)))
    report = fleet.plan().reports[0]
    assert fleet.places() == ["oslo/n1 web.0@1", "rome/n1 web.1@1"]
    assert {rejection.constraint for rejection in report.refused[0].rejections} == {"port"}
    fleet.wish(revision("shop", 2, web=service(replicas=total(3), spread=spread)))
    fleet.change("rome", nodes=site("rome", memory=1).nodes)
    fleet.plan()
    assert len(fleet.places()) == 3


def test_spread_over_nodes_of_a_site() -> None:
    fleet = Fleet(site("oslo", 1, nodes=("a", "b", "c")))
    fleet.wish(revision("shop", web=service(replicas=per_site(3))))
    fleet.plan()
    assert fleet.places() == ["oslo/a web.0@1", "oslo/b web.1@1", "oslo/c web.2@1"]


def test_pause_restart_and_scale_change_only_what_they_say() -> None:
    fleet = Fleet(site("oslo", 1))
    made = revision("shop", web=service(replicas=per_site(2)), db=service(replicas=per_site()))
    fleet.wish(made, held=True)
    fleet.plan()
    assert fleet.places() == ["oslo/n1 db.0@1 hold", "oslo/n1 web.0@1 hold", "oslo/n1 web.1@1 hold"]
    fleet.wish(made, restarts={"web": 2, "": 1})
    plan = fleet.plan()
    restarts = {unit.service: unit.restart for unit in fleet.units("oslo").values() if isinstance(unit, Assignment)}
    assert restarts == {"web": 3, "db": 1}
    assert {change.detail for change in plan.changes} == {"resumed, started afresh"}
    fleet.wish(revision("shop", 2, web=service(replicas=per_site(1)), db=service(replicas=per_site())))
    assert {(change.kind, change.instance) for change in fleet.plan().changes} == {
        ("change", "default/shop/db/0"),
        ("change", "default/shop/web/0"),
        ("remove", "default/shop/web/1"),
    }


def test_images_are_held_once_however_many_need_them() -> None:
    fleet = Fleet(site("oslo", 1))
    fleet.wish(revision("shop", web=service(replicas=per_site(3)), db=service()))
    fleet.plan()
    assert len([unit for unit in fleet.units("oslo").values() if isinstance(unit, ImageHold)]) == 1


def _with_secret(number: int = 1, **words: object) -> object:
    made = revision("shop", number, web=service(secrets=(FileMount(source="pw", target="/run/secrets/pw"),), **words))
    return msgspec.structs.replace(made, secrets={"pw": SecretUse(name=SecretName("db-password"))})


def test_a_secret_that_is_not_sealed_for_the_node_refuses_and_once_held_is_never_taken_away() -> None:
    fleet = Fleet(site("oslo", 1))
    key = (TenantName("default"), SecretName("db-password"))
    fleet.wish(_with_secret())  # type: ignore[arg-type]
    fleet.secrets[key] = SecretWish(digest=digest_of(b"1"), sealed_for=frozenset())
    assert fleet.plan().reports[0].refused[0].reason == "secret db-password is not sealed for oslo/n1"
    fleet.secrets[key] = SecretWish(digest=digest_of(b"2"), sealed_for=frozenset({KeyId("oslo-n1")}))
    fleet.plan()
    assert [unit.digest for unit in fleet.units("oslo").values() if isinstance(unit, SecretHold)] == [digest_of(b"2")]
    fleet.secrets[key] = SecretWish(digest=digest_of(b"3"), sealed_for=frozenset())
    fleet.plan()
    assert [unit.digest for unit in fleet.units("oslo").values() if isinstance(unit, SecretHold)] == [digest_of(b"2")]
    assert fleet.places() == ["oslo/n1 web.0@1"]


def _tombstone(number: int, *, ends: bool = True, volumes: tuple[str, ...] = ("data",), **words: object) -> Tombstone:
    return Tombstone(
        tenant=TenantName("default"),
        app=AppName("shop"),
        number=number,
        ends_app=ends,
        volumes=tuple(VolumeName(name) for name in volumes),
        **words,  # type: ignore[arg-type]
    )


def _notices(fleet: Fleet, name: str) -> int:
    return len([unit for unit in fleet.units(name).values() if isinstance(unit, TombstoneNotice)])


def test_a_tombstone_reaches_only_sites_that_may_hold_something_until_they_do_not() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(sites=Sites(names=("oslo",)), replicas=per_site())))
    fleet.plan()
    fleet.end("shop", 2, tombstone=_tombstone(2), tombstone_digest=digest_of(b"t"))
    fleet.plan()
    assert fleet.places() == []
    assert (_notices(fleet, "oslo"), _notices(fleet, "rome")) == (1, 0)
    volume = VolumeFact(volume=VolumeId("default/shop/data"), born=1)
    fleet.change("oslo", acknowledged=True, volumes=(volume,))
    fleet.plan()
    assert _notices(fleet, "oslo") == 1, "the volume is still there"
    fleet.change("oslo", volumes=())
    fleet.plan()
    assert _notices(fleet, "oslo") == 0
    assert fleet.plan().documents == ()


def test_a_tombstone_older_than_the_app_is_not_shown() -> None:
    fleet = Fleet(site("oslo", 1, volumes=(VolumeFact(volume=VolumeId("default/shop/data"), born=1),)))
    stone = _tombstone(2, ends=False)
    fleet.wish(revision("shop", 3, web=service()), tombstone=stone, tombstone_digest=digest_of(b"t"))
    fleet.plan()
    assert _notices(fleet, "oslo") == 0


def _fact(instance: str, number: int) -> InstanceFact:
    return InstanceFact(
        instance=instance,  # type: ignore[arg-type]
        node="n1",  # type: ignore[arg-type]
        revision=digest_of(b"unknown"),
        number=number,
        phase="ready",
    )


def test_a_learning_site_gets_nothing_until_its_owners_have_spoken_again() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", 5, web=service(replicas=per_site())))
    fleet.plan()
    fleet.change("oslo", learning=True, instances=(_fact("default/shop/web/0", 7), _fact("default/blog/web/0", 2)))
    fleet.wish(revision("shop", 6, web=service("2", replicas=per_site())))
    plan = fleet.plan()
    assert [document.site for document in plan.documents] == ["rome"]
    assert plan.understood == ()
    assert any("holds a newer document" in note for note in plan.notes)
    fleet.wish(revision("shop", 8, web=service(replicas=per_site())))
    fleet.wish(revision("blog", 3, web=service()))
    assert fleet.plan().understood == ("oslo",)
    fleet.change("oslo", facts_current=False)
    assert fleet.plan().understood == (), "facts from before a restore prove nothing"


def test_what_a_learning_site_runs_is_not_started_a_second_time_elsewhere() -> None:
    fleet = Fleet(site("oslo", 1, learning=True, instances=(_fact("default/shop/web/0", 5),)), site("rome", 2))
    fleet.wish(revision("shop", 5, web=service(replicas=total(1))))
    fleet.plan()
    assert fleet.places() == []


def test_a_removed_site_lets_its_total_instances_go_elsewhere() -> None:
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(replicas=total(1))))
    fleet.plan()
    del fleet.sites[SiteName("oslo")]
    fleet.plan()
    assert fleet.places() == ["rome/n1 web.0@1"]


_SERVICES = st.builds(
    lambda tag, port, memory, many, by_site, match, require: service(
        tag,
        port=port,
        memory=memory * GIB,
        replicas=per_site(many) if by_site else total(many),
        sites=Sites(match=match),
        spread=(Spread(by="region", require=require), Spread()),
    ),
    st.sampled_from("123"),
    st.sampled_from((0, 0, 80, 443)),
    st.integers(0, 5),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from(((), ("tier=store",), ("tier in (store, depot)",))),
    st.booleans(),
)
_APPS = st.dictionaries(
    st.sampled_from(("ant", "bee", "cow")), st.dictionaries(st.sampled_from(("db", "web")), _SERVICES, min_size=1)
)
_SITES = st.lists(
    st.tuples(st.sampled_from(("store", "depot", "none")), st.sampled_from(("north", "south")), st.integers(1, 2)),
    max_size=5,
)


def _build(sites: list[tuple[str, str, int]]) -> Fleet:
    return Fleet(
        *(
            site(f"s{index}", index, labels={"tier": tier}, region=region, nodes=("a", "b")[:nodes])
            for index, (tier, region, nodes) in enumerate(sites)
        )
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_SITES, st.lists(_APPS, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_any_history_of_wishes_is_planned_alike_in_any_order_and_settles(
    sites: list[tuple[str, str, int]], history: list[dict[str, dict[str, object]]], shuffle: object
) -> None:
    fleet = _build(sites)
    for number, apps in enumerate(history, 1):
        for app in sorted({str(wish[1]) for wish in fleet.wishes}):
            if app not in apps:
                fleet.end(app, number)
        for app, services in apps.items():
            fleet.wish(revision(app, number, **services))  # type: ignore[arg-type]
        snapshot = fleet.snapshot()
        parts = [list(snapshot.sites), list(snapshot.apps)]
        for part in parts:
            shuffle.shuffle(part)  # type: ignore[attr-defined]
        shuffled = msgspec.structs.replace(snapshot, sites=tuple(parts[0]), apps=tuple(parts[1]))
        plan = plan_fleet(snapshot)
        assert plan_fleet(shuffled) == plan
        fleet.plan()
        assert fleet.plan().documents == ()
        _check_safe(fleet)


def _check_safe(fleet: Fleet) -> None:
    """No port twice on a node, no instance twice, none where its signed words do not admit it."""
    for view in fleet.sites.values():
        ports: set[tuple[str, int]] = set()
        for unit in view.units.values():
            if isinstance(unit, Assignment):
                wish = fleet.revisions[unit.revision].services[unit.service]
                assert unit.node in view.record.nodes
                assert not site_unmet(wish.placement.sites, view.record)
                for port in wish.ports:
                    assert (unit.node, port.published) not in ports
                    ports.add((unit.node, port.published))


def test_a_service_that_now_asks_for_the_port_of_another_one_does_not_get_it() -> None:
    """The other one keeps its room, although the first one by name looks for its own before."""
    fleet = Fleet(site("oslo"))
    fleet.wish(revision("shop", 1, ads=service(replicas=total()), web=service(replicas=total(), port=80)))
    fleet.plan()
    fleet.wish(revision("shop", 2, ads=service(replicas=total(), port=80), web=service(replicas=total(), port=80)))
    fleet.plan()
    assert fleet.places() == ["oslo/n1 ads.0@1", "oslo/n1 web.0@1"]


def test_a_thousand_sites_are_planned_from_one_wish() -> None:
    fleet = Fleet(*(site(f"s{index}", index) for index in range(1000)))
    fleet.wish(revision("shop", web=service(replicas=per_site()), db=service(replicas=total(3))))
    fleet.plan()
    assert len(fleet.places()) == 1003
    assert fleet.plan().documents == ()
