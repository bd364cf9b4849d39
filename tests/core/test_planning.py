"""The plan of a text is the plan of the file: same bytes, so that ``apply --plan`` holds."""

import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.wishes import Expected
from skerry.manifest.canonical import build_revision
from skerry.manifest.load import load_manifest
from skerry.manifest.values import Manifest
from skerry.model.app import AppRevision
from skerry.model.asks import MANIFEST_TEXT_MAX, PlanManifest
from skerry.model.ids import TenantName

TEXT = "name: shop\nservices:\n  web:\n    image: web:1\n"


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def test_a_texts_plan_holds_for_the_same_text_in_a_file(rig):
    await rig.add_site("oslo")
    image = await rig.push_image("web:1")
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT))
    assert (found.app, found.problems) == ("shop", ())
    assert [(change.kind, change.site) for change in found.plan.changes] == [("add", "oslo")]
    manifest = load_manifest((("compose.yaml", TEXT.encode()),), {})
    assert isinstance(manifest, Manifest)
    revision = build_revision(manifest, tenant=TenantName("default"), number=1, images={"web:1": image})
    assert isinstance(revision, AppRevision)
    envelope = sign("revision", revision, key("deploy default"))
    applied = await rig.service.apply_app(rig.admin, app="shop", body=envelope, expect=Expected(0, found.plan.plan))
    assert applied.number == 1
    await rig.plan()
    again = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT))
    assert (again.plan.number, [change.kind for change in again.plan.changes]) == (1, ["change"])


async def test_problems_say_their_line_and_nothing_is_planned(rig):
    text = "services:\n  web:\n    image: web:1\n    privileged: true\n"
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text, name="shop"))
    assert found.plan is None
    assert [(problem.file, problem.line) for problem in found.problems] == [("compose.yaml", 4)]


async def test_an_image_that_was_never_pushed_is_a_problem_at_its_line(rig):
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT))
    assert found.plan is None
    assert [(problem.code, problem.line) for problem in found.problems] == [("E-IMAGE", 4)]


@pytest.mark.parametrize("text", ["", "[", "a: &a [*a]", "\x00", "- 1", "x" * MANIFEST_TEXT_MAX])
async def test_what_is_no_manifest_is_told_and_not_raised(rig, text):
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text, name="shop"))
    assert found.plan is None
    assert found.problems


async def test_files_and_variables_of_the_core_are_out_of_reach(rig):
    text = "name: shop\nservices:\n  web:\n    image: web:1\n    env_file: /etc/passwd\n"
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text))
    assert found.plan is None
    text = "name: shop\nservices:\n  web:\n    image: web:1\n    environment: {HOME: '${HOME:?}'}\n"
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text))
    assert found.plan is None


async def test_a_plan_shows_which_other_apps_make_room(rig):
    await rig.add_site("oslo")
    await rig.push_image("web:1")

    def text(name, priority):
        said = f"x-skerry: {{priority: {priority}}}"
        return f'name: {name}\nservices:\n  web:\n    image: web:1\n    ports: ["80:80"]\n{said}\n'

    low = load_manifest((("compose.yaml", text("ads", 300).encode()),), {})
    image = await rig.push_image("web:1")
    revision = build_revision(low, tenant=TenantName("default"), number=1, images={"web:1": image})
    await rig.service.apply_app(
        rig.admin, app="ads", body=sign("revision", revision, key("deploy default")), expect=Expected(0)
    )
    await rig.plan()
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text("till", 700)))
    assert [(change.kind, change.instance, change.detail) for change in found.plan.changes] == [
        (
            "remove",
            "default/ads/web/0",
            "from n1: it makes room for default/till/web/0, which has priority 700 over its 300",
        ),
        ("add", "default/till/web/0", "on n1"),
    ]
    low = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text("toy", 300)))
    assert [each.service for each in low.plan.unplaced] == ["web"]
