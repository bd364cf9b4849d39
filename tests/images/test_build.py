"""Recipes, cache and builds. The tests that build Debian trees, and start them in a lab, are end-to-end tests."""

import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.lab import Lab
from tests.images import build, check, debian, oci, recipes, servers

WEB = "skerry-test/web:1"


def manifest_of(layout: Path) -> dict[str, Any]:
    return read(layout, json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"])


def config_of(layout: Path) -> dict[str, Any]:
    return read(layout, manifest_of(layout)["config"]["digest"])


def read(layout: Path, digest: str) -> dict[str, Any]:
    return json.loads((layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("mariadb:10.6.4-focal", "docker.io/library/mariadb:10.6.4-focal"),
        ("wordpress", "docker.io/library/wordpress:latest"),
        ("nodered/node-red", "docker.io/nodered/node-red:latest"),
        ("registry.example:5000/team/app", "registry.example:5000/team/app:latest"),
        ("localhost/tiny:1", "localhost/tiny:1"),
        (WEB, "docker.io/skerry-test/web:1"),
    ],
)
def test_a_short_name_is_completed_as_docker_does(name: str, full: str) -> None:
    assert recipes.full_reference(name) == full


def test_every_image_that_the_apps_name_has_a_recipe() -> None:
    for app in check.APPS.values():
        for service in check.services_of(app).values():
            assert recipes.recipe_of(service["image"])


def test_no_two_recipes_stand_in_for_one_image() -> None:
    names = [recipes.full_reference(name) for recipe in recipes.RECIPES for name in recipe.names]
    assert len(set(names)) == len(names)


def test_every_recipe_has_its_files_and_every_file_its_recipe() -> None:
    wanted = {recipe.folder for recipe in recipes.RECIPES} | {f"{one.folder}.npm" for one in recipes.RECIPES if one.npm}
    assert {path.name for path in build.FILES.iterdir()} == wanted


def test_an_image_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mariadb:11"):
        build.build("mariadb:11", tmp_path / "out", tmp_path / "cache")


def test_what_is_dropped_and_what_is_kept() -> None:
    keeps = debian.chooser((*recipes.DROP_ALWAYS, *servers.MARIADB.drop), (*debian.KEEP_ALWAYS, *servers.MARIADB.keep))
    kept = ["usr/bin/mariadb-admin", "usr/bin/bash", "usr/share/doc/bash", "usr/share/doc/bash/copyright", "run"]
    dropped = ["usr/bin/mariadb-binlog", "usr/share/doc/bash/README", "run/lock", "var/log/dpkg.log", "etc/rc0.d/K01x"]
    assert [name for name in [*kept, *dropped] if keeps(name)] == kept


def test_the_web_image_is_small_labelled_and_the_same_each_time(tmp_path: Path) -> None:
    lines: list[str] = []
    one = build.build(WEB, tmp_path / "one", tmp_path / "cache", lines.append)
    again = build.build(WEB, tmp_path / "again", tmp_path / "cache", lines.append)
    elsewhere = build.build(WEB, tmp_path / "elsewhere", tmp_path / "other cache", lines.append)
    other = build.build("skerry-test/web:2", tmp_path / "two", tmp_path / "cache", lines.append)
    assert build.size_of(one) <= 3_000_000
    assert config_of(one)["config"]["Labels"][build.LABEL] == "true"
    index = (one / "index.json").read_bytes()
    assert index == (again / "index.json").read_bytes() == (elsewhere / "index.json").read_bytes()
    assert index != (other / "index.json").read_bytes()
    assert manifest_of(one)["layers"] == manifest_of(other)["layers"]
    assert len([line for line in lines if line.startswith("built")]) == 2  # one for each cache


def test_a_layer_that_was_cut_short_is_built_again(tmp_path: Path) -> None:
    said: list[str] = []
    layout = build.build(WEB, tmp_path / "out", tmp_path / "cache", said.append)
    (blob,) = (tmp_path / "cache" / "blobs").iterdir()
    whole = blob.read_bytes()
    blob.unlink()
    blob.write_bytes(whole[:1000])
    layout = build.build(WEB, tmp_path / "out", tmp_path / "cache", said.append)
    digest = manifest_of(layout)["layers"][0]["digest"].removeprefix("sha256:")
    assert (layout / "blobs" / "sha256" / digest).read_bytes() == whole


def test_a_build_waits_for_another_one(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    said: list[str] = []
    with (tmp_path / "cache" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Event()

        def note(line: str) -> None:
            said.append(line)
            waiting.set()

        builder = threading.Thread(target=build.build, args=(WEB, tmp_path / "out", tmp_path / "cache", note))
        builder.start()
        assert waiting.wait(10)
        assert not (tmp_path / "out").exists()
    builder.join(10)
    assert "waiting" in said[0]
    assert build.size_of(tmp_path / "out") > 0


def test_a_failing_tool_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(debian.ToolError, match="sh ended with 3:\nno such thing"):
        debian.run_tool(["sh", "-c", "echo no such thing >&2; exit 3"], 10)
    with pytest.raises(debian.ToolError, match="is not installed"):
        debian.run_tool([str(tmp_path / "nothing")], 10)
    with pytest.raises(debian.ToolError, match="still running after"):
        debian.run_tool(["sleep", "10"], 0.1)


def test_the_command_line_says_what_it_built_and_what_it_cannot(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(build.__file__)), "--cache", str(tmp_path / "cache")]
    done = subprocess.run([*script, WEB], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert f"{WEB}: 2.0 MB in " in done.stdout
    refused = subprocess.run([*script, "nothing:1"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "there is no recipe for nothing:1; there are: mariadb:10.6.4-focal" in refused.stderr


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["one"]) as lab:
        yield lab


@pytest.mark.e2e
def test_the_web_image_serves_tests(lab: Lab, tmp_path: Path) -> None:
    site = lab.sites["one"]
    layout = build.build(WEB, tmp_path / "layout", tmp_path / "cache")
    site.podman.do("POST", "/images/load", oci.write_archive(layout, tmp_path / "archive").read_bytes())
    site.podman.do("POST", "/networks/create", {"name": "web", "driver": "bridge", "dns_enabled": True})
    settings = {"image": WEB, "volumes": ["visits:/data"], "ports": ["8080:8080"], "environment": {"WEB_TEXT": "ahoy"}}
    check.start(site, "web", "web", settings)
    check.wait(lambda: check.answers(lab, site, 8080), 30, "it does not answer")
    assert lab.http_get("one", 8080).body == b"ahoy\n"
    assert b"WEB_VERSION=1\n" in lab.http_get("one", 8080, "/cgi-bin/env").body
    assert lab.http_get("one", 8080, "/cgi-bin/visit").body == b"1\n"
    assert check.execute(site, "web", ["health"]) == 0
    assert check.execute(site, "web", ["touch", "/data/unhealthy"]) == 0
    assert check.execute(site, "web", ["health"]) == 1
    began = time.monotonic()
    site.podman.do("POST", "/containers/web/stop", timeout="30")
    assert time.monotonic() - began < 15, "it does not listen to SIGTERM"
    site.podman.do("POST", "/containers/web/start")
    check.wait(lambda: check.answers(lab, site, 8080), 30, "it does not answer again")
    assert lab.http_get("one", 8080, "/cgi-bin/visit").body == b"2\n"


@pytest.mark.e2e
def test_images_of_one_app_have_one_base_and_say_what_they_are(tmp_path: Path) -> None:
    """Builds in the checkout's own cache, as the demo does, which shows that they work; so does ``./dev long``."""
    layouts = {name: build.build(name, tmp_path / name[:5]) for name in ("wordpress:latest", "mariadb:10.6.4-focal")}
    bases = {manifest_of(layout)["layers"][0]["digest"] for layout in layouts.values()}
    assert len(bases) == 1
    for name, layout in layouts.items():
        labels = config_of(layout)["config"]["Labels"]
        assert labels[build.LABEL] == "true"
        assert labels[build.LABEL + ".for"] == recipes.full_reference(name)
        for layer in manifest_of(layout)["layers"]:
            assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
