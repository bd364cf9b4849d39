import json
import textwrap

import pytest
from tests.cli.town import Town
from tests.core.cores import key, sealing, sign
from tests.sdk.image_bytes import Image, layout, tar

from skerry.trust.keys import key_id


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town with two sites and one image."""
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("docker.io/library/web:1",))))
    town.ok("image", "push", archive)
    town.sites = [town.add_site(name, labels={"tier": "store"}) for name in ("oslo", "bergen")]
    yield town
    town.close()


@pytest.fixture
def write(tmp_path):
    """Write a manifest; its folder is called as the test wishes the app to be."""

    def write(text, name="shop"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        file = folder / "compose.yaml"
        file.write_text(textwrap.dedent(text))
        return file

    return write


SHOP = """
    services:
      web:
        image: web:1
        x-skerry: {placement: {replicas: {per-site: 1}}}
"""


def show(town, app):
    return json.loads(town.ok("app", "show", app, "-o", "json"))


def test_an_app_is_applied_and_runs_at_every_site(town, write):
    file = write(SHOP, "everywhere")
    result = town.run("apply", "-f", file)
    assert (result.code, result.out) == (0, "app/everywhere\n"), result
    assert "revision 1 is recorded" in result.err
    town.settle(*town.sites)
    found = show(town, "everywhere")
    assert (found["summary"]["ready"], found["summary"]["wanted"]) == (2, 2)
    assert town.run("wait", "app/everywhere", "--timeout", "5s").code == 0


def test_repeating_changes_nothing_and_a_change_makes_the_next_revision(town, write):
    file = write(SHOP, "again")
    town.ok("apply", "-f", file)
    assert "is so already, at revision 1" in town.run("apply", "-f", file).err
    write("# only a comment\n" + textwrap.dedent(SHOP), "again")
    assert "is so already, at revision 1" in town.run("apply", "-f", file).err
    assert "revision 2" in town.run("apply", "-f", write(SHOP + "        hostname: other\n", "again")).err
    assert show(town, "again")["summary"]["number"] == 2


def test_a_plan_says_what_would_change_and_is_held_to(town, write):
    file = write(SHOP, "planned")
    result = town.run("plan", "-f", file, "-o", "json")
    assert result.code == 2, result
    plan = json.loads(result.out)
    assert sorted(change["site"] for change in plan["changes"] if change["kind"] == "add") == ["bergen", "oslo"]
    assert all(pull["bytes"] > 0 for pull in plan["pulls"])
    assert town.run("app", "show", "planned").code == 5
    town.ok("apply", "-f", file, "--plan", plan["plan"])
    town.settle(*town.sites)
    assert town.run("plan", "-f", file).code == 0


def test_a_plan_that_no_longer_holds_is_6(town, write):
    file = write(SHOP, "stale")
    plan = json.loads(town.run("plan", "-f", file, "-o", "json").out)["plan"]
    town.ok("apply", "-f", write(SHOP + "        hostname: x\n", "stale"))
    result = town.run("apply", "-f", write(SHOP, "stale"), "--plan", plan)
    assert result.code == 6, result
    assert "Plan again" in result.err
    assert show(town, "stale")["summary"]["number"] == 1


def test_two_applies_at_once_one_is_6_and_nothing_is_lost(town, write):
    """Somebody else applies between our reading and our putting."""
    file = write(SHOP, "race")
    town.ok("apply", "-f", file)
    from skerry.cli.main import run
    from skerry.cli.session import Session

    session = Session(town.environment)
    client = session.client
    send = client.send

    def late(request):
        if request.operation.name == "apply_app":
            town.ok("apply", "-f", write(SHOP + "        hostname: theirs\n", "race"))
        return send(request)

    client.send = late
    code = run(["apply", "-f", str(write(SHOP + "        hostname: ours\n", "race"))], session)
    assert code == 6
    assert show(town, "race")["summary"]["number"] == 2


def test_diff_shows_what_differs_and_nothing_else(town, write):
    file = write(SHOP, "differs")
    first = town.run("diff", "-f", file)
    assert first.code == 2
    assert first.out.startswith("--- nothing\n")
    town.ok("apply", "-f", file)
    assert town.run("diff", "-f", file).code == 0
    changed = town.run("diff", "-f", write(SHOP + "        hostname: other\n", "differs"))
    assert changed.code == 2
    lines = [line for line in changed.out.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert [line.strip("+- ,") for line in lines] == ['"hostname": ""', '"hostname": "other"']


def test_images_that_were_never_pushed_are_named_with_their_lines(town, write):
    file = write("services:\n  web:\n    image: nowhere:1\n", "lost")
    result = town.run("apply", "-f", file)
    assert result.code == 1
    assert f"{file}:3:12  E-IMAGE  /services/web/image: image nowhere:1 was never pushed" in result.err
    assert "skerry image push ARCHIVE nowhere:1" in result.err
    assert town.run("app", "show", "lost").code == 5


def test_what_is_only_built_runs_once_it_was_pushed_under_composes_name(town, write, tmp_path):
    file = write("services:\n  web:\n    build: ./web\n", "workshop")
    refused = town.run("apply", "-f", file)
    assert refused.code == 1
    assert "skerry image push the image workshop-web" in refused.err
    archive = tmp_path / "built.tar"
    archive.write_bytes(tar(layout(Image(salt=b"built"))))
    town.ok("image", "push", archive, "workshop-web")
    assert town.ok("apply", "-f", file) == "app/workshop\n"


def test_every_error_of_a_manifest_at_once(town, write):
    file = write("services:\n  web:\n    image: [1]\n    prots: []\n    privileged: true\n", "wrong")
    for command in ("validate", "plan", "apply", "diff"):
        result = town.run(command, "-f", file)
        assert result.code == 1, result
        assert result.err.count(str(file)) >= 3
    report = json.loads(town.run("validate", "-f", file, "-o", "json").out)
    assert {problem["line"] for problem in report["problems"]} >= {3, 4}


def test_words_that_are_not_built_are_refused_by_name(town, write):
    result = town.run("validate", "-f", write(SHOP + "    x-skerry: {logs: sealed}\n", "later"))
    assert result.code == 1
    assert "E-NOT-YET" in result.err


def test_validate_needs_no_core_and_reports_fields(town, write):
    result = town.run("validate", "-f", write(SHOP), XDG_CONFIG_HOME="/nowhere/at/all")
    assert result.code == 0, result
    assert "honoured" in result.out


def test_variables_come_from_flags_environment_and_dotenv(town, write):
    file = write("services:\n  web:\n    image: web:1\n    hostname: ${A}-${B}-${C}\n", "variables")
    (file.parent / ".env").write_text("A=file\nB=file\nC=file\n")
    town.ok("apply", "-f", file, "--set", "C=flag", B="environment")
    envelope = town.wait(town.rig.service.read_revision(town.rig.admin, app="variables", number="1"))
    assert json.loads(envelope.payload)["services"]["web"]["hostname"] == "file-environment-flag"


def test_a_manifest_from_a_pipe_needs_a_name_and_sites_may_be_chosen(town, write):
    text = textwrap.dedent(SHOP).encode()
    town.ok("apply", "-f", "-", "--name", "piped", "--sites", "tier=nowhere", stdin=text)
    town.settle(*town.sites)
    assert show(town, "piped")["summary"]["wanted"] == 0


def test_files_outside_the_manifests_folder_are_not_read(town, write, tmp_path):
    (tmp_path / "key").write_text("private")
    text = "services:\n  web: {image: web:1, configs: [stolen]}\nconfigs:\n  stolen: {file: %s}\n"
    for path in ("../key", str(tmp_path / "key"), "./link"):
        file = write(text % path, "thief")
        (file.parent / "link").unlink(missing_ok=True)
        (file.parent / "link").symlink_to(tmp_path / "key")
        result = town.run("apply", "-f", file)
        assert result.code == 1
        assert "leads out of the folder" in result.err


SEALED = """
    services:
      web:
        image: web:1
        secrets: [pw]
        x-skerry: {placement: {replicas: {per-site: 1}}}
    secrets:
      pw: {file: ./pw.txt}
"""


def read_secret(town, name):
    async def read():
        from skerry.store import objects, things

        def job(connection):
            row = things.find_secret(connection, "default", name)
            return objects.read_object(connection, row.digest)

        return await town.rig.core.db.read(job)

    return json.loads(town.wait(read()).payload)


def test_secrets_are_sealed_to_the_nodes_and_the_signer_and_to_nobody_else(town, write):
    file = write(SEALED, "sealed")
    (file.parent / "pw.txt").write_text("s3cret")
    result = town.run("apply", "-f", file)
    assert "sealed: sealed-pw" in result.err, result
    sealed = read_secret(town, "sealed-pw-c5cb63c3")
    nodes = {key_id(sealing(name)) for name in ("oslo", "bergen")}
    assert nodes < set(sealed["boxes"])
    assert len(sealed["boxes"]) == 3
    assert "s3cret" not in json.dumps(sealed)
    assert sealed["number"] == 1


def test_a_secret_gets_a_new_version_only_with_a_new_value_or_on_demand(town, write):
    file = write(SEALED, "resealed")
    (file.parent / "pw.txt").write_text("one")
    town.ok("apply", "-f", file)
    assert "sealed" not in town.run("apply", "-f", file).err.replace("resealed", "")
    (file.parent / "pw.txt").write_text("two")
    assert "sealed: resealed-pw" in town.run("apply", "-f", file).err
    assert "sealed: resealed-pw" in town.run("apply", "-f", file, "--reseal").err
    assert read_secret(town, "resealed-pw-53f7eee5")["number"] == 3


def test_nothing_is_sealed_to_a_record_that_the_registrar_did_not_sign(town, write, tmp_path_factory):
    """An evil core adds a site of its own to the list, with a sealing key that it holds."""
    own = Town(tmp_path_factory.mktemp("evil"))
    try:
        own.ok("image", "push", town.folder / "web.tar")
        own.add_site("oslo")
        forged = sign("site", own.rig.record("spy", 1, tenants=("default",)), key("stranger"))

        async def forge():
            from skerry.store import sites

            record = own.rig.record("spy", 1, tenants=("default",))
            await own.rig.core.db.run(lambda connection: sites.record_site(connection, record, forged, 0))

        own.wait(forge())
        file = write(SEALED, "spied")
        (file.parent / "pw.txt").write_text("s3cret")
        result = own.run("apply", "-f", file)
        assert result.code == 1
        assert "site record that is not good" in result.err
        assert own.ok("app", "list", "-o", "name") == ""
    finally:
        own.close()


def test_services_that_go_away_are_asked_about(town, write):
    two = SHOP + "      side:\n        image: web:1\n"
    town.ok("apply", "-f", write(two, "shrinks"))
    file = write(SHOP, "shrinks")
    assert town.run("apply", "-f", file).code == 1
    town.ok("apply", "-f", file, "--yes")
    assert show(town, "shrinks")["services"] == ["web"]


def test_a_wait_ends_when_the_sites_have_it_and_times_out_when_not(town, write):
    file = write(SHOP, "waits")
    result = town.run("apply", "-f", file, "--wait=1s")
    assert result.code == 4, result
    assert "E-TIMEOUT" in result.err
    assert "Hint: skerry why waits\n" in result.err
    waited = town.run("wait", "app/waits", "--timeout", "1s")
    assert (waited.code, "Hint: skerry why waits\n" in waited.err) == (4, True)
    # Repeating it changes nothing, and waits like the first one.
    again = town.run("apply", "-f", file, "--wait=1s")
    assert (again.code, "is so already" in again.err, "E-TIMEOUT" in again.err) == (4, True, True)
    town.settle(*town.sites)
    assert town.run("apply", "-f", file, "--wait=5s").code == 0
    assert town.run("wait", "app/waits", "--timeout", "5s").code == 0


def test_a_dry_run_plans_and_records_nothing(town, write):
    result = town.run("apply", "-f", write(SHOP, "dry"), "--dry-run")
    assert result.code == 0
    assert "Changes" in result.out
    assert town.run("app", "show", "dry").code == 5


def apply(town, file, *more):
    """Apply and return the operation."""
    return json.loads(town.ok("apply", "-f", file, "-o", "json", *more))["operation"]


def test_a_wait_for_what_has_no_place_ends_with_the_reason(town, write):
    operation = apply(town, write(SHOP.replace("per-site: 1", "total: 1"), "homeless"), "--sites", "tier=moon")
    town.settle(*town.sites)
    result = town.run("wait", f"operation/{operation}", "--timeout", "20s")
    assert result.code == 1, result
    assert "E-PLACEMENT" in result.err
    assert "Hint: skerry why homeless" in result.err


def test_a_wait_for_what_something_newer_took_over_ends(town, write):
    operation = apply(town, write(SHOP, "overtaken"))
    apply(town, write(SHOP + "        hostname: newer\n", "overtaken"))
    result = town.run("wait", f"operation/{operation}", "--timeout", "20s")
    assert result.code == 1
    assert "E-SUPERSEDED" in result.err


def test_silent_sites_hold_no_wait_up(town, write):
    town.ok("apply", "-f", write(SHOP, "patient"))
    town.settle(*town.sites)
    heard, quiet = town.sites
    town.wait(town.rig.clock.advance(600_000_000))
    town.rig.desk.hear(heard.name)
    operation = apply(town, write(SHOP + "        hostname: x\n", "patient"))
    town.settle(heard)
    result = town.run("wait", f"operation/{operation}", "--timeout", "20s")
    assert result.code == 0, result
    assert "1 of 2 ready, 1 at silent sites follow" in result.err
    town.rig.desk.hear(quiet.name)
    town.settle(*town.sites)


def test_a_wrong_letter_in_a_label_does_not_end_an_app(town, write):
    file = write(SHOP, "steady")
    town.ok("apply", "-f", file, "--sites", "tier=store")
    town.settle(*town.sites)
    refused = town.run("apply", "-f", file, "--sites", "tier=stroe")
    assert refused.code == 1
    assert "No site takes steady any more (none of 2 nodes" in refused.err
    assert "Stop its 2 instances?" in refused.err
    assert show(town, "steady")["summary"]["number"] == 1
    town.ok("apply", "-f", file, "--sites", "tier=stroe", "--yes")
    assert show(town, "steady")["summary"]["number"] == 2


def test_an_app_that_no_site_takes_yet_is_recorded_and_says_so(town, write):
    result = town.run("apply", "-f", write(SHOP, "early"), "--sites", "tier=moon")
    assert result.code == 0
    assert "no site takes early yet: none of 2 nodes can hold it" in result.err


def test_a_selector_that_is_none_is_refused_at_its_option(town, write):
    result = town.run("apply", "-f", write(SHOP, "crooked"), "--sites", "tier==")
    assert result.code == 64
    assert "Invalid value for '--sites': not a selector term at column 1: 'tier=='" in result.err
