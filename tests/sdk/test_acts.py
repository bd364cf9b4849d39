"""Acts against a real core and a real signer: what the page of the SDK shows, by both clients."""

import asyncio
import textwrap

import msgspec
import pytest
import sqlalchemy
from tests.cli.town import Town
from tests.manifest.texts import accept, image_of
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.answers import ImageConfigView
from skerry.model.errors import Invalid
from skerry.sdk import AsyncClient, Client, Conflict, NotFound, Refused, Timeout, contexts
from skerry.sdk.manifests import ManifestRefused
from skerry.sdk.publishing import _read_configs, put_revision
from skerry.sdk.steps import Person
from skerry.store import apps

SHOP = """
    services:
      web:
        image: web:1
        environment: [WORD]
        x-skerry: {placement: {replicas: {per-site: 1}}}
"""
SEALED = """
    services:
      web:
        image: web:1
        secrets: [password]
    secrets:
      password: {file: ./password.txt}
"""


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
def skerry(town):
    with Client.from_context(environment=town.environment | {"WORD": "one"}) as client:
        yield client


@pytest.fixture
def write(tmp_path):
    """Write a manifest; its folder is called as the test wishes the app to be."""

    def write(text, name):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "compose.yaml").write_text(textwrap.dedent(text))
        return folder / "compose.yaml"

    return write


def test_the_story_of_the_first_page(town, skerry, write):
    assert [site.site for site in skerry.sites.list(label_selector="tier=store")] == ["bergen", "oslo"]
    revision = skerry.apps.apply(write(SHOP, "story"))
    assert (revision.app, revision.number) == ("story", 1)
    town.settle(*town.sites)
    revision.rollout.wait(timeout=5)
    assert skerry.apps.wait("story", timeout=0).ready == 2
    events = skerry.events(after=revision.event_id)
    assert next(event.subject for event in events if event.type.startswith("dev.skerry.app.apply")) == "app/story"


def test_repeating_changes_nothing_and_variables_are_the_persons_or_given(skerry, write):
    file = write(SHOP, "again")
    assert skerry.apps.apply(str(file)).number == 1
    again = skerry.apps.apply([file])
    assert (again.number, again.applied, again.operation) == (1, None, "")
    assert again.event_id > 0
    assert skerry.apps.apply(file, variables={"WORD": "two"}).number == 2
    assert skerry.apps.draft(file).is_new
    assert not skerry.apps.draft(file, variables={"WORD": "two"}).is_new


def test_a_wait_tells_what_is_missing_and_ends(skerry, write):
    done = skerry.apps.apply(write(SHOP, "waiting"))
    told = []
    with pytest.raises(Timeout, match="0 of"):
        done.rollout.wait(timeout=0, told=told.append)
    assert len(told) == 1
    same = skerry.apps.apply(write(SHOP, "waiting"))
    with pytest.raises(Timeout):
        same.rollout.wait(timeout=0)


def test_a_manifest_that_is_wrong_is_refused_with_its_lines(skerry, write):
    with pytest.raises(ManifestRefused) as caught:
        skerry.apps.apply(write("services:\n  web:\n    image: [1]\n    privileged: true\n", "wrong"))
    assert {problem.line for problem in caught.value.problems} == {3, 4}
    with pytest.raises(ManifestRefused, match="1 error"):
        skerry.apps.apply(write("services:\n  web:\n    image: nowhere:1\n", "lost"))
    with pytest.raises(NotFound):
        skerry.apps.show("lost")


def test_a_draft_that_others_overtook_is_a_conflict(skerry, write):
    draft = skerry.apps.draft(write(SHOP, "race"))
    skerry.apps.apply(draft.manifest)
    with pytest.raises(Conflict, match="has changed since it was read"):
        skerry.apps.apply(msgspec.structs.replace(draft, revision=_reworded(draft.revision)))


def test_a_number_that_another_got_meanwhile_is_a_conflict(skerry, write):
    draft = skerry.apps.draft(write(SHOP, "close-race"))
    skerry.apps.apply(draft.manifest)
    # Between handing in what was lost and signing, somebody else was faster.
    with pytest.raises(Conflict, match="has changed since it was read"):
        skerry.perform(put_revision(_reworded(draft.revision)))


def _reworded(revision):
    return msgspec.structs.replace(revision, description="other")


def test_back_to_an_old_revision_and_the_end(skerry, write):
    file = write(SHOP, "cycle")
    for word in ("one", "two"):
        skerry.apps.apply(file, variables={"WORD": word})
    assert skerry.apps.rollback("cycle").number == 3
    assert not skerry.apps.draft(file, variables={"WORD": "one"}).is_new
    with pytest.raises(NotFound, match="no revision 9"):
        skerry.apps.rollback("cycle", 9)
    assert skerry.apps.delete("cycle").number == 4
    assert skerry.apps.show("cycle").summary.state == "ended"
    assert skerry.apps.delete_volumes("cycle", ["data"], sites=["oslo"], grace_s=5).number == 5


def read_app(town, app):
    return town.wait(town.rig.core.db.read(lambda connection: apps.find_app(connection, "default", app)))


def set_back(town, row):
    """The core is restored from a backup in which an app was at ``row``."""

    def job(connection):
        apps.record_app(connection, row)
        words = {"app": row.app, "number": row.known_number}
        connection.execute(sqlalchemy.text("DELETE FROM revisions WHERE app = :app AND number > :number"), words)

    town.wait(town.rig.core.db.run(job))


def test_a_restored_core_is_given_again_what_it_lost_before_anything_new_is_signed(town, skerry, write):
    """Without it the new revision would take the tombstone's number, and sites would refuse the fork for good."""
    file = write(SHOP, "restored")
    skerry.apps.apply(file)
    before = read_app(town, "restored")
    skerry.apps.apply(file, variables={"WORD": "two"})
    stone = skerry.apps.delete("restored")
    set_back(town, before)
    assert skerry.apps.show("restored").summary.number == 1
    result = town.run("apply", "-f", file, "--set", "WORD=three")
    assert "the core had lost 2, 3, as after a restore; handed in again first" in result.err, result
    assert "revision 4 is recorded" in result.err
    kept = town.wait(
        town.rig.core.db.read(lambda connection: apps.find_revision(connection, "default", "restored", stone.number))
    )
    assert (kept.kind, kept.digest) == ("tombstone", stone.applied.digest)
    # The same for a deletion, for a way back, and for an app that the backup does not know at all.
    before = read_app(town, "restored")
    skerry.apps.apply(file, variables={"WORD": "four"})
    set_back(town, before)
    assert skerry.apps.rollback("restored").handed_in == (5,)
    set_back(town, before)
    done = skerry.apps.delete("restored")
    assert (done.handed_in, done.number) == ((5, 6), 7)


def test_a_plan_made_on_a_restored_core_no_longer_stands(town, skerry, write):
    file = write(SHOP, "replanned")
    skerry.apps.apply(file)
    before = read_app(town, "replanned")
    skerry.apps.delete("replanned")
    set_back(town, before)
    draft = skerry.apps.draft(file, variables={"WORD": "two"})
    plan = skerry.apps.plan("replanned", draft.payload)
    with pytest.raises(Conflict, match="not about what would be signed"):
        skerry.apps.apply(draft, plan=plan.plan)
    assert skerry.apps.show("replanned").summary.number == 2


def test_secrets_of_a_manifest_are_sealed_once(skerry, write):
    file = write(SEALED, "sealed")
    (file.parent / "password.txt").write_text("hush")
    (name,) = skerry.apps.apply(file).sealed
    assert name.startswith("sealed-password")
    first = skerry.apps.apply(file)
    assert (first.sealed, first.applied) == ((), None)
    (file.parent / "password.txt").write_text("louder")
    assert len(skerry.apps.apply(file).sealed) == 1
    assert len(skerry.apps.apply(file, reseal=True).sealed) == 1


def test_a_secret_of_its_own(skerry):
    assert skerry.secrets.set("key", b"one") == 1
    assert skerry.secrets.set("key", b"one") == 0
    assert skerry.secrets.set("key", b"one", again=True) == 2
    assert skerry.secrets.set("key", b"two", sites=["tier=store"]) == 3
    skerry.secrets.remove("key", expect=3)
    assert skerry.secrets.set("key", b"two") == 4


def test_a_client_without_memory_seals_anew(town):
    person = Person(signer=str(town.socket))
    with Client(town.url, town.token, person=person) as client:
        assert client.secrets.set("forgetful", b"x") == 1
        assert client.secrets.set("forgetful", b"x") == 2


def test_the_only_tenant_of_the_signer_is_meant_and_without_a_signer_nothing_is_signed(town, write):
    file = write(SHOP, "plain")
    with Client(town.url, town.token, person=Person(signer=str(town.socket))) as client:
        assert client.apps.apply(file, variables={"WORD": "x"}).number == 1
    with Client(town.url, town.token) as client, pytest.raises(Refused, match="no signer"):
        client.apps.apply(file, variables={"WORD": "y"})


def test_sites_are_made_and_labelled(skerry):
    joining = skerry.sites.add("tromso", labels={"tier": "ship"}, position=(69.65, 18.96))
    assert joining.command.startswith(f"skerry agent join {joining.token} --core ")
    assert skerry.sites.make_join_token("tromso").token != joining.token
    assert skerry.sites.label("tromso", {"size": "small", "tier": None})
    assert not skerry.sites.label("tromso", {"size": "small"})
    assert skerry.sites.show("tromso").summary.labels == {"size": "small"}
    with pytest.raises(Timeout, match="tromso"):
        skerry.sites.wait("tromso", timeout=0)
    with pytest.raises(Conflict, match="is there already, and has changed"):
        skerry.sites.add("tromso")
    with pytest.raises(Refused, match="no name for a site"):
        skerry.sites.add("Tromsø")


def test_the_asynchronous_client_does_the_same(town, write):
    file = write(SHOP, "async")

    async def story():
        async with AsyncClient.from_context(environment=town.environment) as skerry:
            first = await skerry.apps.apply(file, variables={"WORD": "one"})
            assert (await skerry.apps.apply(file, variables={"WORD": "one"})).applied is None
            await skerry.apps.apply(file, variables={"WORD": "two"})
            assert (await skerry.apps.draft(file, variables={"WORD": "three"})).is_new
            back = await skerry.apps.rollback("async")
            with pytest.raises(Timeout):
                await back.rollout.wait(timeout=0)
            with pytest.raises(Refused, match="newer took over"):
                await first.rollout.wait(timeout=0)
            with pytest.raises(Timeout):
                await skerry.operations.wait(back.operation, timeout=0)
            with pytest.raises(Timeout):
                await skerry.apps.wait("async", timeout=0)
            assert (await skerry.apps.delete("async")).number == 4
            assert (await skerry.apps.delete_volumes("async", ["data"])).number == 5
            assert await skerry.secrets.set("asynchronous", b"x") == 1
            joining = await skerry.sites.add("async-site")
            assert (await skerry.sites.make_join_token("async-site")).site == joining.site
            assert await skerry.sites.label("async-site", {"a": "b"})
            with pytest.raises(Timeout):
                await skerry.sites.wait("async-site", timeout=0)

    asyncio.run(story())


def test_a_context_of_another_tenant_signs_nothing_for_this_one(town, write, tmp_path):
    config = tmp_path / "config" / "skerry"
    contexts.write_context(
        config, "other", contexts.Context(url=town.url, token=town.token, tenant="other", signer=str(town.socket))
    )
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    with (
        Client.from_context("other", environment=environment) as client,
        pytest.raises(Refused, match="no deploy key of tenant other"),
    ):
        client.apps.apply(write(SHOP, "foreign"), variables={"WORD": "x"})


WELL = """
    services:
      web: {image: well:1, depends_on: {db: {condition: service_healthy}}}
      db: {image: well:1, healthcheck: {interval: 5s}}
      off: {image: well:1, healthcheck: {disable: true}}
      plain: {image: web:1}
    x-skerry: {placement: {replicas: {per-site: 1}}}
"""


def test_the_check_of_health_in_an_image_is_signed_with_the_app(town, skerry, write):
    archive = town.folder / "well.tar"
    check = {"Test": ["CMD-SHELL", "test -n $HOME"], "Interval": 7_000_000_000}
    archive.write_bytes(tar(layout(Image(salt=b"well", Healthcheck=check), names=("docker.io/library/well:1",))))
    town.ok("image", "push", archive)
    draft = skerry.apps.draft(write(WELL, "well"))
    web, db, off, plain = (draft.revision.services[name].healthcheck for name in ("web", "db", "off", "plain"))
    assert (web.test, web.interval_us) == (("CMD-SHELL", "test -n $$HOME"), 7_000_000)
    assert (db.test, db.interval_us) == (web.test, 5_000_000)
    assert off.test == ("NONE",)
    assert plain is None
    # The core reads a text as the client reads a file: it finds the check that is waited for.
    assert skerry.core.plan_manifest(text=textwrap.dedent(WELL), name="well").problems == ()


def test_a_core_that_brings_another_configuration_is_not_believed(write):
    manifest = accept(WELL)
    images = {use.name: image_of(use.name) for use in manifest.images}
    steps = _read_configs(manifest, images)
    assert next(steps).operation.name == "read_image_config"
    with pytest.raises(Invalid, match="another configuration"):
        steps.send(ImageConfigView(content=b'{"config": {"Healthcheck": {"Test": ["CMD", "evil"]}}}'))
