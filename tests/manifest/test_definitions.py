"""What is named is put into what is signed: wherever it stands, and nothing else of the app changes."""

import msgspec
import pytest
from tests.manifest.texts import accept, image_of

from skerry.manifest.canonical import assemble_revision, build_revision
from skerry.manifest.definitions import Known, list_changed, list_signed, list_wanted
from skerry.manifest.values import Rejected
from skerry.model.app import AppRevision
from skerry.model.geography import Region
from skerry.model.ids import TenantName
from skerry.trust.wellformed import find_flaw

TEXT = """
services:
  web:
    image: web
    x-skerry:
      placement:
        latency: {to: {users: customers}, max-rtt: 20ms}
        residency: {not: {areas: [islands]}}
  db: {image: db}
x-skerry:
  placement:
    geofence: {areas: [nordics, islands]}
"""
NORDICS = Region(countries=("NO", "SE"))
ISLANDS = Region(countries=("IS",))
POINTS = ((10_750_000, 59_910_000, 3),)
KNOWN = {
    ("area", "nordics"): Known(2, NORDICS),
    ("area", "islands"): Known(1, ISLANDS),
    ("user-group", "customers"): Known(7, POINTS),
}


def build(known=KNOWN, text=TEXT, number=1):
    manifest = accept(text)
    images = {use.name: image_of(use.name) for use in manifest.images}
    return build_revision(manifest, tenant=TenantName("default"), number=number, images=images, definitions=known)


def test_each_thing_is_wanted_once():
    assert list_wanted(accept(TEXT)) == (("area", "islands"), ("area", "nordics"), ("user-group", "customers"))


def test_the_ground_and_the_points_themselves_are_signed_with_names_beside_them():
    revision = build()
    assert isinstance(revision, AppRevision)
    web, db = (revision.services[name].placement.rules for name in ("web", "db"))
    assert web
    assert db
    assert web.geofence == db.geofence
    assert [(each.name, each.number, each.region) for each in web.geofence[0].areas] == [
        ("islands", 1, ISLANDS),
        ("nordics", 2, NORDICS),
    ]
    outside = web.residency[0].region.outside
    assert outside is not None
    assert [each.region for each in outside.areas] == [ISLANDS]
    (wish,) = web.latency
    assert (wish.points, wish.number, wish.quantile_permille, wish.max_rtt_us) == (POINTS, 7, 950, 20_000)
    assert find_flaw(revision) == ""
    assert list_signed(revision) == KNOWN


@pytest.mark.parametrize("gone", KNOWN)
def test_what_is_not_there_is_told_at_each_place_where_it_is_named(gone):
    rejected = build({name: known for name, known in KNOWN.items() if name != gone})
    assert isinstance(rejected, Rejected)
    lines = {
        ("area", "nordics"): [(12, "there is no area nordics")],
        ("area", "islands"): [(8, "there is no area islands"), (12, "there is no area islands")],
        ("user-group", "customers"): [(7, "there is no group of users customers")],
    }
    assert sorted((one.line, one.detail) for one in rejected.problems) == lines[gone]
    assert {one.code for one in rejected.problems} == {"E-REFERENCE"}


def test_nobody_signs_a_name_without_its_ground():
    manifest = accept(TEXT)
    images = {use.service: image_of(use.name) for use in manifest.images}
    assert "says nothing" in find_flaw(assemble_revision(manifest, TenantName("default"), 1, images))


def test_an_app_that_names_nothing_is_not_touched():
    text = "services: {web: {image: web}}\nx-skerry: {placement: {geofence: {countries: NO}}}"
    assert msgspec.json.encode(build(text=text)) == msgspec.json.encode(build({}, text))


def test_what_has_changed_since_a_revision_was_signed():
    before = build()
    assert isinstance(before, AppRevision)
    assert list_changed(before, before) == ()
    moved = {**KNOWN, ("area", "nordics"): Known(3, ISLANDS), ("user-group", "customers"): Known(8, POINTS)}
    after = build(moved, number=2)
    assert isinstance(after, AppRevision)
    assert list_changed(before, after) == (
        "area nordics has changed since revision 1 was signed (version 2, now 3): applying takes the new one",
    )
