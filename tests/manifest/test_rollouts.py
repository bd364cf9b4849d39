"""``x-skerry.rollout`` in the signed form."""

from typing import Any

import pytest
from msgspec import UNSET
from tests.manifest.texts import accept, lines_of
from tests.manifest.texts import read as read_text

from skerry.model.rollout import Gate, InSite, Rollout, Share, TimeWindow

TEXT = "name: app\nservices: {web: {image: img}}\nx-skerry:\n  rollout: "


def read(rollout: str) -> Rollout:
    found = accept(TEXT + rollout).rollout
    assert found
    return found


def test_without_the_word_there_is_no_rollout() -> None:
    assert not accept("name: app\nservices: {web: {image: img}}").rollout


def test_an_empty_word_means_the_defaults() -> None:
    assert read("{}") == Rollout()


def test_the_retail_example_is_read() -> None:
    found = read("{canary: 5, waves: 10%, max-failed: 2%, health: {for: 5m}, on-failure: rollback}")
    assert found == Rollout(
        canary=Share(sites=5),
        waves=(Share(permille=100),),
        repeats=True,
        gate=Gate(healthy_us=300_000_000),
    )
    assert found.count_waves(95) == 10
    assert [found.size_of(stage, 95) for stage in (0, 1, 9, 10)] == [5, 10, 90, 95]


def test_canary_sites_bake_waves_and_approval_are_read() -> None:
    found = read(
        "{canary: {sites: lab=true, bake: 1d}, waves: [5%, 25%, 100%], approve: canary, offline-sites: wait, "
        "prefetch: false, on-failure: pause, max-failed: 3}"
    )
    assert found.canary_sites == ("lab=true",)
    assert found.bake_us == 86_400_000_000
    assert [wave.permille for wave in found.waves] == [50, 250, 1000]
    assert not found.repeats
    assert (found.approve, found.offline_sites, found.prefetch, found.on_failure) == ("canary", "wait", False, "pause")
    assert found.max_failed == Share(sites=3)


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("'02:00-05:00 site-local'", (TimeWindow(120, 300),)),
        ("'22:30-24:00 utc'", (TimeWindow(1350, 1440, zone="utc"),)),
        ("'fri-mon,wed 22:00-05:00 utc'", (TimeWindow(1320, 300, (0, 2, 4, 5, 6), "utc"),)),
        (
            "['sat 01:00-02:00 utc', '03:00-04:00 utc']",
            (TimeWindow(60, 120, (5,), "utc"), TimeWindow(180, 240, zone="utc")),
        ),
    ],
)
def test_windows(text: str, windows: tuple[TimeWindow, ...]) -> None:
    assert read(f"{{window: {text}}}").windows == windows
    assert read("{}").windows is UNSET


def test_the_order_at_a_site() -> None:
    assert read("{}").in_site is UNSET
    assert read("{in-site: {}}").in_site == InSite()
    assert read("{in-site: {order: start-first, parallel: 2}}").in_site == InSite(order="start-first", parallel=2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("volumes: ['data:/data']", "service web has a volume"),
        ("ports: ['80:80']", "service web has a port of the node"),
        ("networks: {default: {ipv4_address: 10.9.0.5}}", "service web has an address of its own"),
    ],
)
def test_two_copies_at_once_cannot_have_what_there_is_one_of(fields: str, said: str) -> None:
    text = f"""
        name: app
        services: {{web: {{image: img, {fields}}}}}
        volumes: {{data: }}
        networks: {{default: {{ipam: {{config: [{{subnet: 10.9.0.0/24}}]}}}}}}
        x-skerry: {{rollout: {{in-site: {{order: ORDER}}}}}}
        """
    accept(text.replace("ORDER", "stop-first"))
    (line,) = lines_of(read_text(text.replace("ORDER", "start-first")))
    assert "E-CONFLICT" in line
    assert said in line


def test_one_wave_of_everybody_does_not_repeat() -> None:
    assert not read("{waves: 100%}").repeats
    assert read("{waves: 50}").count_waves(120) == 3


@pytest.mark.parametrize(
    ("rollout", "code", "said"),
    [
        ("{waves: [50%, 10%]}", "E-RANGE", "each is larger"),
        ("{waves: [0%]}", "E-RANGE", "a wave of no sites"),
        ("{max-failed: 200%}", "E-RANGE", "more than all"),
        ("{health: {for: 20m}}", "E-CONFLICT", "never passes"),
        ("{cannary: 5}", "E-UNKNOWN-WORD", 'Did you mean "canary"?'),
        ("{window: 'at night'}", "E-TYPE", "window of time"),
        ("{window: '02:00-02:00 utc'}", "E-RANGE", "02:00-05:00"),
        ("{window: '29:00-05:00 utc'}", "E-RANGE", "02:00-05:00"),
        ("{window: 'mon-fry 02:00-05:00 utc'}", "E-TYPE", "mon-fry"),
        ("{in-site: {parallel: 0}}", "E-TYPE", "whole number"),
        ("{in-site: {order: both}}", "E-TYPE", "both"),
        ("{on-failure: explode}", "E-TYPE", "explode"),
        ("[1]", "E-TYPE", "rollout"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(rollout: str, code: str, said: str) -> None:
    found: Any = read_text(TEXT + rollout)
    assert any(code in line and said in line and line.startswith("4:") for line in lines_of(found)), lines_of(found)
