"""The shipped systemd units: what they promise is written in them, and systemd itself finds nothing wrong."""

import re
import shutil
import subprocess
import sys

import pytest
from tests.tidy.sources import ROOT

FOLDER = ROOT / "packaging" / "systemd"
UNITS = sorted(path.name for path in FOLDER.glob("*.service"))

#: Exposure that `systemd-analyze security` may find, in tenths. The agent writes firewall rules, so it may more.
EXPOSURE_MAX = {"skerry-core.service": 15, "skerry-signer.service": 15, "skerry-agent.service": 35}


def read_settings(name: str) -> dict[str, list[str]]:
    """The `Key=value` lines of a unit; a key may come several times."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", (FOLDER / name).read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def run_analyze(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze over a copy whose program exists on this machine."""
    for name in UNITS:
        text = (FOLDER / name).read_text().replace("/usr/lib/skerry/bin/python", sys.executable)
        (folder / name).write_text(text)
    program = shutil.which("systemd-analyze")
    assert program, "the Debian package systemd is missing: ./dev setup installs it"
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_there_is_one_unit_for_each_program():
    assert sorted(EXPOSURE_MAX) == UNITS


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_reports_and_is_watched_and_restarted_for_ever(name):
    settings = read_settings(name)
    assert settings["Type"] == ["notify"]
    assert settings["WatchdogSec"] == ["30"]
    assert settings["Restart"] == ["always"]
    assert settings["StartLimitIntervalSec"] == ["0"]
    for key in ("StateDirectory", "MemoryHigh", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet"):
        assert key in settings
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["ProtectSystem"] == ["strict"]


def test_stopping_the_agent_stops_nothing_else():
    assert read_settings("skerry-agent.service")["KillMode"] == ["process"]


def test_the_core_and_the_signer_are_different_users_without_capabilities():
    core, signer = read_settings("skerry-core.service"), read_settings("skerry-signer.service")
    assert core["User"] != signer["User"]
    assert core["CapabilityBoundingSet"] == signer["CapabilityBoundingSet"] == [""]


def test_the_agent_waits_for_no_network():
    settings = read_settings("skerry-agent.service")
    assert "network" not in " ".join(
        settings.get("Wants", []) + settings.get("After", []) + settings.get("Requires", [])
    )


@pytest.mark.e2e
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    done = run_analyze(tmp_path, "verify", "--man=no", *(f"./{name}" for name in UNITS))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.e2e
@pytest.mark.parametrize("name", UNITS)
def test_the_exposure_stays_low(name, tmp_path):
    limit = f"--threshold={EXPOSURE_MAX[name]}"
    done = run_analyze(tmp_path, "security", "--no-pager", "--offline=true", limit, f"./{name}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.e2e
def test_an_open_unit_would_be_found(tmp_path):
    """The two checks above can fail."""
    (tmp_path / "open.service").write_text("[Service]\nType=notify\nExecStart=/no/such/program\nKilMode=process\n")
    verify = run_analyze(tmp_path, "verify", "--man=no", "./open.service")
    assert "KilMode" in verify.stdout + verify.stderr
    assert run_analyze(tmp_path, "security", "--offline=true", "--threshold=35", "./open.service").returncode != 0
