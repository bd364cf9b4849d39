"""The shipped systemd units: what they promise is written in them, and systemd itself finds nothing wrong."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.e2e.lab_site import Site
from tests.tidy.sources import ROOT

from skerry import app, settings
from skerry.cli import founding
from skerry.drivers.volumes.asking import LIMITS_SOCKET

FOLDER = ROOT / "packaging" / "systemd"
UNITS = sorted(path.name for path in FOLDER.iterdir())

#: Exposure that `systemd-analyze security` may find, in tenths. The agent writes firewall rules and watches the test
#: packets of chains, so it may more.
# podman is not rated: it makes containers, so it may do everything.
EXPOSURE_MAX = {
    "skerry-core.service": 15,
    "skerry-signer.service": 15,
    "skerry-relay.service": 15,
    "skerry-agent.service": 36,
}
#: Programs with settings of their own.
PROGRAMS = {
    "core": app.CoreSettings,
    "signer": app.SignerSettings,
    "relay": app.RelaySettings,
    "agent": app.AgentSettings,
}
RATED = {**EXPOSURE_MAX, "skerry-backup.service": 15, "skerry-limits@.service": 25}


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


def test_there_is_one_unit_for_each_program_two_for_podman_and_backups_three_for_volumes_and_one_for_the_end():
    others = ["skerry-containers.service", "skerry-podman.service", "skerry-podman.socket", "skerry-backup.timer"]
    others += ["skerry-pool.service", "skerry-limits.socket"]
    assert sorted([*RATED, *others]) == UNITS


@pytest.mark.parametrize("name", EXPOSURE_MAX)
def test_every_unit_reports_and_is_watched_and_restarted_for_ever(name):
    settings = read_settings(name)
    assert settings["Type"] == ["notify"]
    assert settings["WatchdogSec"] == ["30"]
    assert settings["TimeoutStartSec"] == ["5min"]
    assert settings["Restart"] == ["always"]
    assert settings["StartLimitIntervalSec"] == ["0"]
    for key in ("StateDirectory", "MemoryHigh", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet"):
        assert key in settings
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["ProtectSystem"] == ["strict"]


@pytest.mark.parametrize("name", ["skerry-agent.service", "skerry-podman.service"])
def test_stopping_stops_no_container_and_takes_none_of_its_files(name):
    settings = read_settings(name)
    assert settings["KillMode"] == ["process"]
    assert settings["RuntimeDirectoryPreserve"] == ["yes"]


def test_containers_are_stopped_when_the_machine_goes_down_and_after_the_agent():
    """The order is reversed on the way down; nothing else pulls the unit down, a stopped agent least of all."""
    settings, agent = read_settings("skerry-containers.service"), read_settings("skerry-agent.service")
    assert "skerry-containers.service" in agent["Wants"][0].split()
    assert "skerry-agent.service" in settings["Before"][0].split()
    assert not settings.keys() & {"PartOf", "BindsTo", "Requires"}
    podman = read_settings("skerry-podman.service")
    served, _, _ = podman["ExecStart"][0].partition(" system service")
    assert settings["ExecStop"][0].startswith(f"{served} stop --all")
    assert settings["Environment"] == podman["Environment"]


def test_podman_sees_the_files_as_the_machine_does():
    """A mount made in a view of its own would be gone with it, and with it the container for the next podman."""
    settings = read_settings("skerry-podman.service")
    assert not [key for key in settings if key.startswith(("Protect", "Private", "ReadOnly", "MountFlags"))]


def test_podman_is_asked_as_the_lab_asks_it(tmp_path):
    """What the end-to-end tests run with is what is shipped; paths differ, and limits that a test machine needs."""
    site = Site(tmp_path, "one", tmp_path / "one", 1)
    site.install()
    lab = tomllib.loads(site.containers_conf.read_text())
    shipped = tomllib.loads((ROOT / "packaging" / "podman" / "containers.conf").read_text())
    lab["containers"].pop("default_ulimits", None)
    lab["engine"].pop("events_logfile_max_size")
    assert blank_paths(shipped) == blank_paths(lab)


def blank_paths(settings):
    return {
        section: {key: "a path" if str(value).startswith("/") else value for key, value in values.items()}
        for section, values in settings.items()
    }


def test_the_core_the_signer_and_the_relay_are_different_users_without_capabilities():
    units = [read_settings(f"skerry-{name}.service") for name in ("core", "signer", "relay")]
    assert len({unit["User"][0] for unit in units}) == 3
    assert all(unit["CapabilityBoundingSet"] == [""] for unit in units)


def test_the_core_may_write_the_table_where_the_relay_reads_it():
    core, relay = read_settings("skerry-core.service"), read_settings("skerry-relay.service")
    assert core["SupplementaryGroups"] == relay["User"]
    assert core["ReadWritePaths"] == [f"-/var/lib/{relay['StateDirectory'][0]}"]
    # Of the folder's group, and files in it too.
    assert relay["StateDirectoryMode"] == ["2770"]
    folder = ROOT / "packaging" / "settings"
    given = settings.load(app.CoreSettings, folder / "core.toml", environment={})
    assert given.relay_table == settings.load(app.RelaySettings, folder / "relay.toml", environment={}).table


def test_every_user_and_group_of_a_unit_is_made():
    made = re.findall(r"^([ug]) (\S+)", (ROOT / "packaging" / "sysusers" / "skerry.conf").read_text(), re.MULTILINE)
    for name in RATED:
        settings = read_settings(name)
        assert {("u", user) for user in settings.get("User", [])} <= set(made)
        assert {("g", group) for group in settings.get("Group", [])} <= set(made)


def test_the_pool_is_mounted_for_all_before_anything_looks_for_it():
    pool, agent = read_settings("skerry-pool.service"), read_settings("skerry-agent.service")
    assert set(pool["Before"][0].split()) >= {"skerry-agent.service", "skerry-podman.service"}
    assert "skerry-pool.service" in agent["Wants"][0].split()
    assert "skerry-pool.service" in agent["After"][0].split()
    # A view of the files of its own would keep the mount to itself; a restart unmounts nothing.
    assert not [key for key in pool if key.startswith(("Protect", "Private", "ReadOnly", "ReadWrite", "MountFlags"))]
    assert not pool.keys() & {"ExecStop", "ExecReload"}


def test_limits_are_set_by_a_program_of_one_request_where_the_agent_asks():
    socket, service = read_settings("skerry-limits.socket"), read_settings("skerry-limits@.service")
    assert socket["Accept"] == ["yes"]
    assert socket["SocketMode"] == ["0600"]
    assert socket["ListenStream"] == [str(LIMITS_SOCKET)]
    assert service["ExecStart"][0].endswith(" pool --settings /etc/skerry/agent.toml --do limit")
    assert (service["StandardInput"], service["StandardOutput"]) == (["socket"], ["socket"])
    assert set(service["CapabilityBoundingSet"][0].split()) == {"CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_shipped_settings_are_read_and_lie_where_the_unit_may_write(name):
    kind = PROGRAMS[name]
    file = ROOT / "packaging" / "settings" / f"{name}.toml"
    given = settings.load(kind, file, environment={})
    unit = read_settings(f"skerry-{name}.service")
    assert unit["ExecStart"][0].endswith(f" --settings /etc/skerry/{name}.toml")
    written = [each.removeprefix("-") for each in unit.get("ReadWritePaths", [])]
    folders = [
        *written,
        f"/var/lib/{unit['StateDirectory'][0]}",
        *(f"/run/{each}" for each in unit.get("RuntimeDirectory", [])),
    ]
    places = [getattr(given, field) for field in kind.__struct_fields__ if isinstance(getattr(given, field), Path)]
    assert places
    assert all(any(place.is_relative_to(folder) for folder in folders) for place in places)


@pytest.mark.parametrize("name", PROGRAMS)
def test_settings_that_are_commented_out_exist(name):
    kind = PROGRAMS[name]
    text = (ROOT / "packaging" / "settings" / f"{name}.toml").read_text()
    shown = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE))
    assert shown <= set(kind.__struct_fields__)


def test_the_command_that_founds_a_core_looks_where_the_settings_put_things():
    signer = settings.load(app.SignerSettings, ROOT / "packaging" / "settings" / "signer.toml", environment={})
    core = settings.load(app.CoreSettings, ROOT / "packaging" / "settings" / "core.toml", environment={})
    assert (core.data, signer.socket) == (Path(founding.CORE_DATA), Path(founding.SIGNER_SOCKET))
    assert signer.core == Path(founding.SIGNER_CORE)


def test_the_backup_is_written_by_the_core_s_user_where_tmpfiles_makes_a_place():
    unit, timer = read_settings("skerry-backup.service"), read_settings("skerry-backup.timer")
    core = read_settings("skerry-core.service")
    assert (unit["User"], unit["StateDirectory"]) == (core["User"], core["StateDirectory"])
    (place,) = unit["ReadWritePaths"]
    assert f" core backup {place} --keep 14 --settings /etc/skerry/core.toml" in unit["ExecStart"][0]
    made = (ROOT / "packaging" / "tmpfiles" / "skerry-core.conf").read_text()
    # No age: systemd-tmpfiles never cleans it.
    assert f"\nd {place} 0700 {unit['User'][0]} {unit['User'][0]} -\n" in made
    assert timer["Persistent"] == ["yes"]
    assert "Unit" not in timer


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
@pytest.mark.parametrize("name", RATED)
def test_the_exposure_stays_low(name, tmp_path):
    limit = f"--threshold={RATED[name]}"
    done = run_analyze(tmp_path, "security", "--no-pager", "--offline=true", limit, f"./{name}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.e2e
def test_an_open_unit_would_be_found(tmp_path):
    """The two checks above can fail."""
    (tmp_path / "open.service").write_text("[Service]\nType=notify\nExecStart=/no/such/program\nKilMode=process\n")
    verify = run_analyze(tmp_path, "verify", "--man=no", "./open.service")
    assert "KilMode" in verify.stdout + verify.stderr
    assert run_analyze(tmp_path, "security", "--offline=true", "--threshold=35", "./open.service").returncode != 0
