"""./dev without what it installs: the words it lists, what it refuses, and when it would install."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from tests.tidy.sources import ROOT


@pytest.fixture
def dev():
    """The script as a module; it has no .py, so it is loaded by hand."""
    loader = importlib.machinery.SourceFileLoader("dev", str(ROOT / "dev"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dev", loader))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def run_dev(*arguments):
    return subprocess.run([ROOT / "dev", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_word_it_lists_the_words(arguments):
    done = run_dev(*arguments)
    assert done.returncode == 0
    for word in (
        "demo",
        "test",
        "check",
        "sim",
        "bench",
        "long",
        "console",
        "deb",
        "gen",
        "docs",
        "shape",
        "clean",
        "setup",
    ):
        assert f"\n  {word} " in done.stdout


def test_a_wrong_word_is_refused_with_the_nearest_one():
    done = run_dev("tset")
    assert done.returncode == 64
    assert "did you mean 'test'?" in done.stderr


@pytest.mark.parametrize("arguments", [["demo", "no-such-demo"], ["bench", "no-such-bench"]])
def test_what_is_not_built_is_refused_before_anything_is_installed(arguments):
    done = run_dev(*arguments)
    assert done.returncode == 64
    assert "not built yet" in done.stderr
    assert "installing" not in done.stdout


def test_every_package_that_a_word_needs_has_a_reason(dev):
    for packages in dev.NEEDS.values():
        for name in packages:
            assert dev.DEBIAN[name]


def test_only_long_runs_need_an_emulator(dev):
    needing = {word for word, packages in dev.NEEDS.items() if "qemu-system-x86" in packages}
    assert needing == {"long", "setup"}


def test_the_stamp_changes_with_the_dependencies_and_with_nothing_else(dev):
    text = (ROOT / "pyproject.toml").read_text()
    before, development = dev.read_stamp(text)
    assert any(name.startswith("pytest") for name in development)
    assert dev.read_stamp(text.replace("line-length = 120", "line-length = 100"))[0] == before
    assert dev.read_stamp(text.replace('"msgspec>=', '"msgspec>0.1,>='))[0] != before


@pytest.fixture
def checkout(dev, tmp_path):
    """A checkout with a current .venv whose python says what it is asked, and a Debian of our own making."""
    shutil.copy(ROOT / "dev", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    write_program(tmp_path / ".venv" / "bin" / "python", 'echo "python $*"')
    (tmp_path / ".venv" / "dev-stamp").write_text(dev.read_stamp((ROOT / "pyproject.toml").read_text())[0])
    (tmp_path / "tools" / "gen").mkdir(parents=True)
    (tmp_path / "tools" / "gen" / "__main__.py").touch()
    write_program(tmp_path / "bin" / "apt-get", f'echo "$*" >>{tmp_path}/apt-calls')
    write_program(tmp_path / "bin" / "sudo", 'shift; exec "$@"')
    set_installed(tmp_path, list(dev.DEBIAN))
    return tmp_path


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def set_installed(folder, names):
    write_program(folder / "bin" / "dpkg-query", "\n".join(f"echo {name} ii" for name in names))


def run_in(folder, *arguments):
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, folder / "dev", *arguments]
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


def test_a_current_checkout_becomes_the_word_at_once(checkout):
    done = run_in(checkout, "gen", "--check")
    assert done.stdout == "python -m tools.gen --check\n"
    assert not (checkout / "apt-calls").exists()


def test_nothing_missing_starts_no_installer(checkout):
    assert run_in(checkout, "setup").returncode == 0
    assert not (checkout / "apt-calls").exists()


def test_what_is_missing_is_named_with_its_reason_and_installed(dev, checkout):
    set_installed(checkout, [name for name in dev.DEBIAN if name not in ("podman", "nftables")])
    done = run_in(checkout, "setup")
    assert done.returncode == 0
    for name in ("podman", "nftables"):
        assert f"installing Debian package {name}: {dev.DEBIAN[name]}" in done.stdout
    calls = (checkout / "apt-calls").read_text().splitlines()
    assert calls == ["update -q", "install -q -y --no-install-recommends podman nftables"]


def test_the_console_is_built_when_its_sources_have_changed(checkout):
    (checkout / "console" / "src").mkdir(parents=True)
    (checkout / "docs" / "generated").mkdir(parents=True)
    for name in ("console/package-lock.json", "console/src/main.ts", "docs/generated/openapi.json"):
        (checkout / name).write_text("one")
    built = checkout / "src" / "skerry" / "console" / "dist"
    build = f"mkdir -p {built} {checkout}/console/node_modules; touch {built}/index.html"
    write_program(checkout / "bin" / "npm", f'echo "$*" >>{checkout}/npm-calls; {build}')
    write_program(checkout / "bin" / "node", "exit 1")

    def list_calls():
        calls = checkout / "npm-calls"
        calls.unlink(missing_ok=True)
        assert run_in(checkout, "console").returncode == 0
        return calls.read_text().splitlines() if calls.exists() else []

    assert list_calls() == ["ci --ignore-scripts", "run build"]
    assert list_calls() == []
    (checkout / "console" / "src" / "main.ts").write_text("two")
    assert list_calls() == ["run build"]
    (checkout / "console" / "package-lock.json").write_text("two")
    assert list_calls() == ["ci --ignore-scripts", "run build"]
    (built / "index.html").unlink()
    assert list_calls() == ["run build"]


def test_an_installer_that_fails_is_quoted_and_ends_the_word(dev, checkout):
    set_installed(checkout, [name for name in dev.DEBIAN if name != "podman"])
    write_program(checkout / "bin" / "apt-get", "echo no such mirror; exit 100")
    done = run_in(checkout, "setup")
    assert done.returncode == 1
    assert "no such mirror" in done.stderr


def test_clean_removes_what_was_made_and_keeps_the_sources(checkout):
    (checkout / "tools" / "gen" / "__pycache__").mkdir()
    run_in(checkout, "gen")
    assert run_in(checkout, "clean").returncode == 0
    assert sorted(path.name for path in checkout.iterdir()) == ["bin", "dev", "pyproject.toml", "tools"]
    assert not (checkout / "tools" / "gen" / "__pycache__").exists()


def test_names_with_dashes_are_modules_with_underscores(dev):
    assert dev.split_name(["two-cities", "--keep"], "spine") == ("two_cities", ["--keep"])
    assert dev.split_name(["--unattended"], "spine") == ("spine", ["--unattended"])
    assert dev.split_name([], "spine") == ("spine", [])


def test_the_continuous_integration_runs_the_same_word():
    assert "exec ./dev test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("script", ["dev", ".ci/run"])
def test_a_fresh_clone_can_run_what_a_newcomer_types(script):
    """Asks git, not the disk: a commit made from a copy without modes leaves the file here as it was."""
    entry = subprocess.run(["git", "ls-files", "--stage", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert entry.stdout.startswith("100755 ")
