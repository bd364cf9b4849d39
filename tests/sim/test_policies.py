"""Checks of what owners sign: each is shown a world in which its promise is broken, and one in which it is kept."""

import msgspec
import pytest
from tests.sim.test_checkers import SITE, broken, effect, virtually

from skerry.clock import SECOND_US
from skerry.model.app import FileMount, SecretUse
from skerry.model.geography import Region
from skerry.model.ids import SecretName, TenantName
from skerry.model.placing import PlacementRules, Residency
from skerry.model.policy import Autonomy, Policy, Priority, SecretPolicy
from skerry.plan.actions import StartContainer
from skerry.sim import policies
from skerry.sim.apps import AppWords
from skerry.sim.grounds import GROUNDS, PLACES
from skerry.sim.script import Script
from skerry.store import Connection, events


def start(script: Script) -> StartContainer:
    machine = script.world.sites[SITE].machine
    name = max(machine.containers)
    seen = machine.containers[name]
    return StartContainer(container=name, spec=machine.specs[name], spec_digest=seen.spec, uid_start=200_000)


def resign(script: Script, **fields: object) -> None:
    """Have signed other words, without the site being asked."""
    unit = policies.find_unit(script.world.sites[SITE], start(script).instance)
    assert unit is not None
    before = script.world.revisions[unit.revision]
    services = {name: msgspec.structs.replace(each, **fields) for name, each in before.services.items()}
    script.world.revisions[unit.revision] = msgspec.structs.replace(before, services=services)


@virtually
async def test_i28_a_start_on_forbidden_ground(script: Script):
    await script.world.sign_site(SITE, PLACES["berlin"], {"jurisdiction": "DE"})
    assert await script.weather.converge() == ""
    before = script.world.revisions[next(iter(script.world.revisions))].services["web"].placement
    for rules, is_forbidden in (
        (PlacementRules(geofence=(GROUNDS["the box"].region,)), True),
        (PlacementRules(geofence=(GROUNDS["germany"].region,)), False),
        (PlacementRules(residency=(Residency(region=Region(countries=("NO",)), covers=("volumes",)),)), True),
        (PlacementRules(residency=(Residency(jurisdictions=("NO",)),)), True),
        (PlacementRules(residency=(Residency(jurisdictions=("DE",)),)), False),
    ):
        resign(script, placement=msgspec.structs.replace(before, rules=rules))
        script.checker.breaks.clear()
        assert effect(script, start(script)) == ({"I28"} if is_forbidden else set())


@virtually
async def test_i38_a_start_of_what_a_person_has_stopped(script: Script):
    await script.world.apply("shop", AppWords(services={"web": "nginx"}, autonomy=Autonomy(local_control="full")))
    assert await script.weather.converge() == ""
    await script.world.say_at_box(SITE, "stop", "default/shop")
    assert effect(script, start(script)) == {"I38"}
    script.checker.breaks.clear()
    await script.world.say_at_box(SITE, "start", "default/shop")
    assert effect(script, start(script)) == set()


@virtually
async def test_i38_ends_with_a_revision_that_lets_nobody_stop_it(script: Script):
    await script.world.apply("shop", AppWords(services={"web": "nginx"}, autonomy=Autonomy(local_control="full")))
    assert await script.weather.converge() == ""
    await script.world.say_at_box(SITE, "stop", "default/shop")
    await script.weather.advance(60)
    await script.world.apply("shop", AppWords(services={"web": "nginx"}))
    await script.weather.advance(60)
    assert broken(script) == set()
    assert script.world.hands.stopped == {}


@virtually
async def test_i40_a_secret_given_out_by_a_site_that_is_cut_off(script: Script):
    first = start(script)
    spec = msgspec.structs.replace(first.spec, secrets=(FileMount(source="key", target="/key"),))
    unit = policies.find_unit(script.world.sites[SITE], first.instance)
    assert unit is not None
    use = SecretUse(name=SecretName("key"), policy=SecretPolicy(max_offline_us=60 * SECOND_US))
    revision = msgspec.structs.replace(script.world.revisions[unit.revision], secrets={"key": use})
    script.world.revisions[unit.revision] = revision
    action = msgspec.structs.replace(first, spec=spec)
    script.weather.cut(SITE)
    await script.weather.advance(100)
    assert effect(script, action) == set()
    await script.weather.advance(200)
    assert effect(script, action) == {"I40"}


def tell(script: Script, kind: str, message: str) -> set[str]:
    """Have the core's log say that it has decided something, and judge it."""

    def write(connection: Connection) -> None:
        events.append_core_event(
            connection, kind, time_us=0, subject="app/shop", tenant=TenantName("default"), message=message
        )

    write(script.world.core.view)
    return {invariant for invariant, _ in script.checker.decisions.judge()}


@pytest.mark.parametrize(
    ("mine", "by", "is_broken"),
    [
        (Priority(value=300), Priority(value=700), False),
        (Priority(value=300, preemptible=False), Priority(value=700), True),
        (Priority(value=300), Priority(value=700, preempts="never"), True),
        (Priority(value=700), Priority(value=700), True),
    ],
)
def test_i37_who_may_take_whose_room(mine, by, is_broken):
    @virtually
    async def play(script: Script):
        await script.world.apply("shop", AppWords(services={"web": "nginx"}, priority=mine))
        await script.world.apply("till", AppWords(services={"web": "nginx"}, priority=by))
        await script.weather.advance(120)
        said = f"default/till/web/0, which has priority {by.value} over its {mine.value}"
        found = tell(script, "placement.preempted", f"web leaves site-1: it makes room for {said}")
        assert found == ({"I37"} if is_broken else set())

    play()


@virtually
async def test_i39_a_second_copy_too_soon(script: Script):
    said = "web copy 0 comes to site-2 in place of the one at site-1, which is silent"
    await script.weather.advance(120)
    assert tell(script, "placement.replaced", said) == {"I39"}
    policy = Policy(autonomy=Autonomy(replace_after_us=300 * SECOND_US))
    resign(script, policy=policy)
    await script.weather.advance(120)
    assert tell(script, "placement.replaced", said) == {"I39"}
    script.weather.cut(SITE)
    await script.weather.advance(320)
    assert tell(script, "placement.replaced", said) == set()


@virtually
async def test_i39_two_copies_for_ever(script: Script):
    assert policies.find_doubles(script.world) == ""
    script.world.sites["site-2"] = script.world.sites[SITE]  # type: ignore[index]
    words = AppWords(services={"web": "nginx"}, total=1, volume=False)
    try:
        await script.world.apply("shop", words)
        await script.weather.advance(60)
        assert "is wanted at" in policies.find_doubles(script.world)
    finally:
        del script.world.sites["site-2"]  # type: ignore[arg-type]


@virtually
async def test_i39_of_two_copies_that_only_their_tenant_may_end_the_stand_in_ends(script: Script):
    await script.world.add_site("site-2", {"tier": "store"})
    bears = Autonomy(replace_after_us=120 * SECOND_US)
    words = AppWords(services={"web": "nginx"}, total=1, volume=False, withdraw="tenant", autonomy=bears)
    await script.world.apply("till", words)
    assert await script.weather.converge() == ""
    (home,) = [site.name for site in script.world.sites.values() if "default/till/web/0" in site.machine.running()]
    script.weather.cut(home)
    await script.weather.advance(600)
    # While the site is silent this is as wished; were it heard, the one that stands in would have to end.
    assert "is wanted at" in policies.find_doubles(script.world)
    script.weather.heal_links()
    assert await script.weather.converge() == ""
    assert policies.find_doubles(script.world) == ""


@virtually
async def test_i39_lets_copies_be_that_only_their_tenant_may_end(script: Script):
    await script.world.add_site("site-2", {"tier": "store"})
    words = AppWords(services={"web": "nginx"}, volume=False, withdraw="tenant")
    await script.world.apply("till", words)
    assert await script.weather.converge() == ""
    await script.world.apply("till", msgspec.structs.replace(words, total=1))
    assert await script.weather.converge() == ""
    assert all("default/till/web/0" in site.machine.running() for site in script.world.sites.values())
    assert policies.find_doubles(script.world) == ""
