import json

import pytest
from tests.manifest.texts import accept, image_of

from skerry.manifest.canonical import build_revision
from skerry.manifest.image_health import list_configs, read_image_health
from skerry.manifest.values import Rejected
from skerry.model.app import AppRevision, HealthCheck

S = 1_000_000_000


def write_config(**check):
    return json.dumps({"architecture": "amd64", "config": {"Cmd": ["x"], "Healthcheck": check}}).encode()


def build(text, config):
    manifest = accept(text)
    images = {use.name: image_of(use.name) for use in manifest.images}
    wanted = list_configs(manifest.health, images, manifest.images)
    configs = {image.config: config for image in wanted}
    return build_revision(manifest, tenant="default", number=1, images=images, configs=configs)


CHECKED = write_config(Test=["CMD", "/well", "$HOME"], Interval=9 * S, Retries=7)


def check_of(fields, config=CHECKED):
    revision = build(f"services: {{web: {{image: x, {fields}}}}}", config)
    assert isinstance(revision, AppRevision), revision
    return revision.services["web"].healthcheck


def test_a_service_without_a_check_has_its_images():
    assert check_of("") == HealthCheck(test=("CMD", "/well", "$$HOME"), interval_us=9_000_000, retries=7)
    assert check_of("", b"{}") is None


def test_what_it_says_of_it_changes_it_and_the_rest_stays():
    found = check_of("healthcheck: {timeout: 2s, start_period: 1m, retries: 0}")
    expected = HealthCheck(
        test=("CMD", "/well", "$$HOME"),
        interval_us=9_000_000,
        timeout_us=2_000_000,
        retries=7,
        start_period_us=60_000_000,
    )
    assert found == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("healthcheck: {disable: true}", HealthCheck(test=("NONE",))),
        ("healthcheck: {test: [NONE]}", HealthCheck(test=("NONE",))),
        ("healthcheck: {test: own}", HealthCheck(test=("CMD-SHELL", "own"))),
    ],
)
def test_one_that_says_its_own_or_none_needs_nothing_of_the_image(fields, expected):
    assert check_of(fields) == expected
    assert accept(f"services: {{web: {{image: x, {fields}}}}}").health == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{" * 100_000,
        b'{"config": null}',
        b'{"config": {"Healthcheck": {"Test": "x"}}}',
        write_config(),
        write_config(Test=[]),
        write_config(Test=["NONE"]),
        write_config(Test=["CMD"]),
        write_config(Test=["RUN", "x"]),
        write_config(Test=["CMD", "a\0b"]),
        write_config(Test=["CMD", *["x"] * 1_000]),
        write_config(Test=["CMD-SHELL", "x" * 100_000]),
    ],
)
def test_what_names_no_check_that_makes_sense_is_none(content):
    assert read_image_health(content) is None


def test_odd_times_are_the_usual_ones():
    odd = write_config(Test=["CMD", "x"], Interval=-1, Timeout=5, StartPeriod=10**18 * 5, Retries=10**9)
    found = read_image_health(odd)
    assert (found.interval_us, found.timeout_us, found.retries) == (30_000_000, 30_000_000, 3)


WAITING = "services: {web: {image: x, depends_on: {db: {condition: service_healthy}}}, db: {image: y, %s}}"


def test_who_waits_for_health_waits_for_what_the_image_tells():
    revision = build(WAITING % "restart: always", write_config(Test=["CMD-SHELL", "ok"]))
    assert revision.services["db"].healthcheck.test == ("CMD-SHELL", "ok")
    assert revision.services["web"].depends_on == {"db": "healthy"}


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (WAITING % "restart: always", "/services/web/depends_on/db"),
        ("services: {web: {image: x, healthcheck: {interval: 5s}}}", "/services/web/healthcheck"),
    ],
)
def test_an_image_that_has_none_is_told_at_its_place(text, pointer):
    rejected = build(text, b"{}")
    assert isinstance(rejected, Rejected)
    assert [(one.code, one.pointer, one.line) for one in rejected.problems] == [("E-REFERENCE", pointer, 1)]
    assert rejected.problems[0].hint
