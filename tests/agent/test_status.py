"""What a person at the box is told, whatever the state of core, link and runtime."""

import msgspec
from tests.agent.scene import Site, make_app, revise, virtually
from tests.trust import people

from skerry.agent.local import LocalProblem
from skerry.agent.status import EVENTS_MAX, Controlled, LogsAnswer, StatusDesk


def desk(site: Site) -> StatusDesk:
    return StatusDesk(site.agent, site.db, site.clock)


async def bring_up(site: Site) -> None:
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()


async def verdicts(site: Site) -> dict[str, str]:
    return {check.name: check.verdict for check in (await desk(site).doctor({})).checks}


@virtually
async def test_a_site_that_is_well_says_so(site: Site):
    await bring_up(site)
    status = await desk(site).status({})
    assert (status.joined, status.site, status.node, status.generation) == (True, people.SITE, people.NODE, 1)
    assert [(item.instance, item.phase) for item in status.instances] == [("alpha/shop/web/0", "ready")]
    assert status.settled
    assert status.waits == ()
    found = await verdicts(site)
    assert found == {"runtime": "good", "journal": "good", "disk": "good", "identity": "good", "link": "warning"}
    assert msgspec.json.encode(status)


@virtually
async def test_a_dead_runtime_is_named_and_what_was_seen_last_is_still_told(site: Site):
    await bring_up(site)
    site.machine.faults.unavailable = True
    site.agent.reconciler.nudge()
    await site.wait(2)
    status = await desk(site).status({})
    assert [wait for wait in status.waits if "does not answer" in wait]
    assert [item.instance for item in status.instances] == ["alpha/shop/web/0"]
    assert not status.settled
    assert (await verdicts(site))["runtime"] == "bad"


@virtually
async def test_the_link_is_told_with_its_reason_and_age(site: Site):
    site.agent.note_link("down", "E-DIAL: nobody there")
    await site.wait(90)
    site.agent.note_link("down", "E-DIAL: nobody there")
    status = await desk(site).status({})
    assert (status.link, status.link_reason, status.link_since_s) == ("down", "E-DIAL: nobody there", 90)


@virtually
async def test_strange_volumes_and_short_disks_are_named(site: Site):
    await bring_up(site)
    name = next(iter(site.machine.volumes))
    site.machine.volumes[name] = msgspec.structs.replace(site.machine.volumes[name], strange=True)
    site.machine.disk_bytes = 1 << 30
    found = await verdicts(site)
    assert (found["volumes"], found["disk"]) == ("bad", "warning")


@virtually
async def test_a_volume_that_is_gone_is_named_and_its_loss_accepted(site: Site):
    await bring_up(site)
    site.machine.volumes.clear()
    await site.restart(reboot=True)
    await site.wait(30)
    status = await desk(site).status({})
    assert any("skerry agent accept-loss alpha/shop/data" in wait for wait in status.waits)
    for bad in ("", "alpha/shop/other", "../../etc", "x" * 5000):
        assert isinstance(await desk(site).accept_loss({"volume": bad}), LocalProblem)
    assert not isinstance(await desk(site).accept_loss({"volume": "alpha/shop/data"}), LocalProblem)
    await site.settle()
    assert (await desk(site).status({})).settled


@virtually
async def test_a_person_may_restart_what_runs_and_stop_it_where_its_owner_says_so(site: Site):
    await bring_up(site)
    (instance,) = [each.instance for each in (await desk(site).status({})).instances]
    assert await desk(site).restart({"what": instance}) == Controlled((instance,))
    await site.settle()
    refused = await desk(site).stop({"what": instance})
    assert isinstance(refused, LocalProblem)
    assert refused.code == "E-LOCAL-CONTROL"
    for bad in ({}, {"what": "x" * 5000}, {"what": "alpha"}):
        missing = await desk(site).start(bad)
        assert isinstance(missing, LocalProblem)
        assert missing.code == "E-NOT-FOUND"
    assert site.events().count("instance.by-hand") == 1


@virtually
async def test_damage_to_the_journal_is_shown_until_it_is_made_good(site: Site):
    await bring_up(site)
    site.db.file.connection.execute("UPDATE object SET envelope = x'00'")
    await site.restart()
    await site.wait(30)
    assert (await verdicts(site))["journal"] == "bad"
    await site.restart()
    await site.wait(30)
    assert (await verdicts(site))["journal"] == "bad", "the object is still missing"
    await bring_up(site)
    assert (await verdicts(site))["journal"] == "good"


@virtually
async def test_events_are_the_newest_and_bounded(site: Site):
    await bring_up(site)
    logs = await desk(site).logs({"tail": "2"})
    assert isinstance(logs, LogsAnswer)
    assert [event.type for event in logs.events] == site.events()[-2:]
    assert isinstance(await desk(site).logs({"tail": str(EVENTS_MAX * 1000)}), LogsAnswer)
    for bad in ("-1", "x", "1e3", ""):
        assert isinstance(await desk(site).logs({"tail": bad}), LocalProblem)
