import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

SHOP = "services:\n  web:\n    image: web:1\n    hostname: %s\n    x-skerry: {placement: {replicas: {per-site: 1}}}\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.site = town.add_site("oslo")
    yield town
    town.close()


def apply(town, app, hostname="one"):
    town.ok("apply", "-f", "-", "--name", app, "--yes", stdin=(SHOP % hostname).encode())
    town.settle(town.site)


def show(town, app):
    return json.loads(town.ok("app", "show", app, "-o", "json"))


def read(town, app, number):
    envelope = town.wait(town.rig.service.read_revision(town.rig.admin, app=app, number=str(number)))
    return json.loads(envelope.payload)


def test_an_app_is_shown_with_what_runs(town):
    apply(town, "shown")
    text = town.ok("app", "show", "shown")
    assert "shown/web.0" in text
    assert "ready:    1 of 1 at 1 sites" in text
    assert "app/shown" in town.ok("app", "list", "-o", "name").split()


def test_a_rollback_is_the_old_content_under_a_higher_number(town):
    apply(town, "back", "old")
    apply(town, "back", "new")
    assert town.run("app", "rollback", "back").code == 1
    town.ok("app", "rollback", "back", "--yes")
    assert read(town, "back", 3)["services"] == read(town, "back", 1)["services"]
    assert [row["number"] for row in json.loads(town.ok("app", "history", "back", "-o", "json"))["items"]] == [3, 2, 1]
    town.ok("app", "rollback", "back", "--to", "2", "--yes")
    assert read(town, "back", 4)["services"] == read(town, "back", 2)["services"]
    assert town.run("app", "rollback", "back", "--to", "9", "--yes").code == 5


def test_an_app_with_one_revision_has_nothing_to_go_back_to(town):
    apply(town, "single")
    result = town.run("app", "rollback", "single", "--yes")
    assert result.code == 5
    assert "no older revision" in result.err


def test_pause_resume_and_restart(town):
    apply(town, "held")
    assert town.run("app", "pause", "held").code == 1
    town.ok("app", "pause", "held", "--yes")
    assert show(town, "held")["summary"]["state"] == "hold"
    town.ok("app", "resume", "held")
    assert show(town, "held")["summary"]["state"] == "run"
    town.ok("app", "restart", "held/web", "--yes")
    assert town.run("app", "restart", "held/nothing", "--yes").code == 5
    for verb in ("pause", "resume", "restart"):
        assert "would" in town.run("app", verb, "held", "--dry-run").err


def test_a_restart_waits_until_the_site_has_done_it(town):
    apply(town, "restarts")
    assert town.run("app", "restart", "restarts", "--yes", "--wait=1s").code == 4
    town.settle(town.site)
    assert town.run("wait", "app/restarts", "--for", "ready", "--timeout", "5s").code == 0


def test_the_end_of_an_app_keeps_its_volumes_and_its_numbers(town):
    apply(town, "ends")
    refused = town.run("delete", "app/ends")
    assert refused.code == 1
    assert "1 instances at 1 sites; 0 volumes (0 B) are kept" in refused.err
    town.ok("delete", "app/ends", "--yes")
    town.settle(town.site)
    assert "app/ends" not in town.ok("app", "list", "-o", "name")
    assert town.run("wait", "app/ends", "--for=gone", "--timeout", "5s").code == 0
    assert "has ended already" in town.run("delete", "ends", "--yes").err
    apply(town, "ends")
    assert show(town, "ends")["summary"]["number"] == 3


def test_delete_by_manifest(town, tmp_path):
    apply(town, "byfile")
    file = tmp_path / "compose.yaml"
    file.write_text("name: byfile\n" + SHOP % "x")
    assert "would end app byfile" in town.run("delete", "-f", file, "--dry-run").err
    town.ok("delete", "-f", file, "--yes")
    assert town.run("delete").code == 64
    assert "skerry site remove oslo" in town.run("delete", "site/oslo").err


def test_why_says_where_and_why(town):
    apply(town, "placed")
    text = town.ok("why", "placed", "--site", "oslo")
    assert "web.0" in text
    town.ok("apply", "-f", "-", "--name", "nowhere", "--sites", "tier=moon", stdin=(SHOP % "x").encode())
    town.settle(town.site)
    found = town.ok("why", "nowhere/web", "--site", "oslo")
    assert "oslo" in found
    assert "moon" in found
    assert town.run("why", "gone").code == 5


def test_status_is_3_when_something_is_not_as_wanted(town):
    town.settle(town.site)
    fine = json.loads(town.run("status", "-o", "json").out)
    assert fine["sites"]["online"] == 1
    town.ok("apply", "-f", "-", "--name", "waiting", stdin=(SHOP % "x").encode())
    result = town.run("status")
    assert result.code == 3
    assert "waiting" in result.out


def test_wait_knows_fields_and_times_out(town):
    apply(town, "waited")
    assert town.run("wait", "app/waited", "--for", "state=run", "--timeout", "1s").code == 0
    assert town.run("wait", "app/waited", "--for", "state=hold", "--timeout", "1s").code == 4
    assert town.run("wait", "app/waited", "--for", "nothing=1", "--timeout", "1s").code == 64
    assert town.run("wait", "app/waited", "--for", "nonsense").code == 64
    assert town.run("wait", "site/oslo", "--timeout", "3s").code == 0
    assert town.run("wait", "node/x").code == 64


def test_an_old_revision_that_the_core_has_changed_is_not_signed_again(town):
    """An evil core: it keeps the number and swaps the content for one that a stranger signed."""
    from tests.core.cores import key, sign

    from skerry.model.app import AppRevision

    apply(town, "swapped", "one")
    apply(town, "swapped", "two")
    good = town.wait(town.rig.service.read_revision(town.rig.admin, app="swapped", number="1"))
    import msgspec

    revision = msgspec.json.decode(good.payload, type=AppRevision)
    forged = sign("revision", msgspec.structs.replace(revision, description="evil"), key("stranger"))

    from skerry.cli.main import run
    from skerry.cli.session import Session

    session = Session(town.environment)
    send = session.client.send
    session.client.send = lambda asked: forged if asked.operation.name == "read_revision" else send(asked)
    assert run(["app", "rollback", "swapped", "--yes"], session) == 1
    assert show(town, "swapped")["summary"]["number"] == 2
