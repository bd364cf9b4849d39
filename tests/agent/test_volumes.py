"""What an owner's call does to a volume, on the real loop and a fake machine."""

import pytest
from tests.agent.scene import Site, make_app, revise, virtually
from tests.trust import people

from skerry.agent.desk import Refusal
from skerry.agent.volumes import VolumeDesk
from skerry.model.ids import AppName
from skerry.model.signed import Call
from skerry.model.volume import SNAPSHOTS_MAX

DATA = "alpha/shop/data"


def call(verb: str, snapshot: str = "noon", **words: object) -> Call:
    given = {
        "tenant": people.ALPHA,
        "site": people.SITE,
        "node": people.NODE,
        "nonce": b"n" * 32,
        "verb": verb,
        "app": people.SHOP,
        "volume": "data",
        "snapshot": snapshot,
    }
    return Call(**(given | words))


async def bring_up(site: Site, driver: str = "btrfs") -> None:
    site.machine.storage.driver = driver
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()


async def obey(site: Site, *words: object, **more: object) -> Refusal | None:
    desk = VolumeDesk(site.agent.reconciler, site.clock, site.agent.trust.read_sure_us)
    refused = await desk.obey(call(*words, **more))
    site.agent.reconciler.nudge()
    await site.wait(1)
    return refused


def names(site: Site) -> list[str]:
    return [each.name for each in site.machine.volumes[DATA].snapshots]


@virtually
async def test_a_snapshot_is_taken_told_of_and_dropped(site: Site):
    await bring_up(site)
    assert await obey(site, "snapshot") is None
    assert names(site) == ["noon"]
    assert (await obey(site, "snapshot") or Refusal("", "")).code == "E-CONFLICT"
    assert await obey(site, "drop-snapshot") is None
    assert names(site) == []
    assert (await obey(site, "drop-snapshot") or Refusal("", "")).code == "E-NOT-FOUND"
    assert [kind for kind in site.events() if kind.startswith("volume.snapshot")] == [
        "volume.snapshot",
        "volume.snapshot-dropped",
    ]


@virtually
async def test_a_restore_holds_over_a_restart_and_keeps_what_the_volume_held(site: Site):
    await bring_up(site)
    assert await obey(site, "snapshot") is None
    held = site.machine.contents[DATA] = site.machine.contents[DATA] + "newer"
    site.machine.faults.fail = 1.0
    assert await obey(site, "restore", by="ada", reason="bad import") is None
    assert (await obey(site, "restore") or Refusal("", "")).code == "E-BUSY"
    assert (await obey(site, "drop-snapshot") or Refusal("", "")).code == "E-BUSY"
    await site.restart()
    site.machine.faults.fail = 0.0
    await site.settle()
    assert site.machine.contents[DATA] == "++", "it was started once before the snapshot and once after the restore"
    assert site.machine.storage.kept[DATA, "aside-2"] == held
    assert site.agent.reconciler.history.kept.restoring == {}
    assert site.events().count("volume.restore") == 1


@pytest.mark.parametrize(
    ("words", "more", "code"),
    [
        (("snapshot", "auto-9"), {}, "E-CALL"),
        (("snapshot", "aside-9"), {}, "E-CALL"),
        (("restore", "night"), {}, "E-NOT-FOUND"),
        (("snapshot",), {"volume": "cache"}, "E-NOT-FOUND"),
        (("snapshot",), {"app": AppName("blog")}, "E-NOT-FOUND"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], more: dict[str, object], code: str):
    @virtually
    async def run(site: Site) -> None:
        await bring_up(site)
        assert (await obey(site, *words, **more) or Refusal("", "")).code == code
        assert names(site) == []

    run()


@virtually
async def test_a_plain_folder_has_no_snapshots(site: Site):
    await bring_up(site, "directory")
    assert (await obey(site, "snapshot") or Refusal("", "")).code == "E-STORAGE"


@virtually
async def test_there_are_only_so_many(site: Site):
    await bring_up(site)
    for count in range(SNAPSHOTS_MAX):
        assert (
            await VolumeDesk(site.agent.reconciler, site.clock, lambda: 0).obey(call("snapshot", f"s{count}")) is None
        )
        site.agent.reconciler.observed = await site.agent.performer.observe()
    assert (await obey(site, "snapshot", "one-more") or Refusal("", "")).code == "E-LIMIT"


@virtually
async def test_what_the_machine_refuses_is_the_answer(site: Site):
    await bring_up(site)
    site.machine.faults.fail = 1.0
    assert (await obey(site, "snapshot") or Refusal("", "")).code == "E-RUNTIME"
    assert "volume.snapshot" not in site.events()
