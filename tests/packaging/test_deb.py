"""Packages made of small libraries: what is in them, what dpkg says of them, and what their scripts do.

The real libraries and a real machine are the business of `./dev long packages`; here the same code packs a few files.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.tidy.sources import ROOT
from tools.deb.__main__ import PACKAGES, build_packages
from tools.deb.archive import SCRIPTS, read_install
from tools.deb.tree import EXTRAS, LIBRARIES, BuildFailed, allot_files, compile_tree, list_needed

FOLDER = ROOT / "packaging" / "deb"
#: A library, what it needs, and who asks for it.
LIBRARIES_OF_OURS = {
    "skerry": [
        "base",
        "link; extra == 'agent'",
        "link[fast]; extra == 'core'",
        "web; extra == 'core'",
        "probe; extra == 'agent'",
        "sql; extra == 'postgres'",
    ],
    "base": ["old; python_version < '3'"],
    "link": ["quick; extra == 'fast'"],
    "quick": [],
    "web": ["base"],
    "probe": [],
    "sql": [],
}


def make_library(tree: Path, name: str, needs: list[str]) -> None:
    module, papers = tree / name / "__init__.py", tree / f"{name}-1.0.dist-info"
    module.parent.mkdir(parents=True)
    papers.mkdir()
    module.write_text(f'NAME = "{name}"\n')
    about = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", "License-Expression: MIT"]
    (papers / "METADATA").write_text("\n".join([*about, *(f"Requires-Dist: {need}" for need in needs)]) + "\n")
    (papers / "direct_url.json").write_text("{}")
    files = [
        f"{name}/__init__.py",
        "../../bin/program",
        *(f"{papers.name}/{each}" for each in ("METADATA", "direct_url.json")),
    ]
    (papers / "RECORD").write_text("".join(f"{each},,\n" for each in [*files, f"{papers.name}/RECORD"]))


def make_tree(folder: Path) -> Path:
    tree = folder / "tree"
    for name, needs in LIBRARIES_OF_OURS.items():
        make_library(tree, name, needs)
    # What the build asks for the completion.
    (tree / "skerry" / "__main__.py").write_text("print('complete -F _skerry skerry')\n")
    record = tree / "skerry-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + "skerry/__main__.py,,\n")
    compile_tree(tree)
    return tree


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The packages by name, made of small libraries."""
    folder = tmp_path_factory.mktemp("deb")
    made = build_packages(make_tree(folder), folder / "out", [3])
    return {path.name.partition("_")[0]: path for path in made}


def ask_dpkg(*words: object) -> str:
    return subprocess.run(["dpkg-deb", *map(str, words)], capture_output=True, text=True, check=True).stdout


def unpack(deb: Path, folder: Path) -> Path:
    ask_dpkg("--raw-extract", deb, folder)
    return folder


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


# What is in them


def test_the_control_file_says_what_dpkg_wants_to_know(built):
    assert list(built) == list(PACKAGES)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] + "-3"
    for name, deb in built.items():
        field = {key: ask_dpkg("--field", deb, key).strip() for key in ("Package", "Version", "Depends", "Description")}
        assert (field["Package"], field["Version"]) == (name, version)
        assert deb.name == f"{name}_{version}_{ask_dpkg('--field', deb, 'Architecture').strip()}.deb"
        assert int(ask_dpkg("--field", deb, "Installed-Size")) > 0
        assert "$" not in field["Depends"]
        if name != "skerry":
            # Code and units of two versions never meet.
            assert f"skerry (= {version})" in field["Depends"]
        first, *lines = field["Description"].splitlines()
        assert len(first) < 80
        assert not first.startswith(("A ", "The ", name))
        assert all(line.startswith(" ") and len(line) < 80 for line in lines)


def test_podman_and_what_it_needs_is_asked_for_where_containers_run(built):
    named = set(
        re.findall(r"[a-z][a-z0-9-]+", re.sub(r"\(.*?\)", "", ask_dpkg("--field", built["skerry-agent"], "Depends")))
    )
    assert named >= {"podman", "crun", "conmon", "netavark", "aardvark-dns", "nftables", "uidmap", "systemd"}
    assert "podman" not in ask_dpkg("--field", built["skerry-core"], "Depends")


def test_a_library_is_in_the_package_that_needs_it_and_a_common_one_in_the_common(built, tmp_path):
    where = {}
    for name, deb in built.items():
        for path in list_files(unpack(deb, tmp_path / name)):
            if path.startswith(LIBRARIES) and path.endswith("__init__.py"):
                where[path.split("/")[-2]] = name
    assert where == {
        **dict.fromkeys(("skerry", "base", "link"), "skerry"),
        **dict.fromkeys(("quick", "web", "sql"), "skerry-core"),
        "probe": "skerry-agent",
    }


def test_no_file_is_in_two_packages_and_none_tells_of_the_machine_that_built_it(built, tmp_path):
    seen: set[str] = set()
    for name, deb in built.items():
        folder = unpack(deb, tmp_path / name)
        files = {path for path in list_files(folder) if not path.startswith("DEBIAN/")}
        assert not files & seen
        seen |= files
        for path in files:
            content = (folder / path).read_bytes() if not (folder / path).is_symlink() else b""
            assert str(ROOT).encode() not in content
            assert not path.endswith(("RECORD", "direct_url.json", "bin/program"))
    assert f"{LIBRARIES}/skerry/__pycache__/__init__.cpython-311.pyc" in seen
    assert {
        "usr/share/man/man1/skerry.1.gz",
        "usr/bin/skerry",
        "usr/lib/skerry/bin/python",
        "usr/lib/skerry/pyvenv.cfg",
    } <= seen


def test_every_file_is_root_s_and_its_sum_is_known(built, tmp_path):
    for name, deb in built.items():
        for line in ask_dpkg("--contents", deb).splitlines():
            mode, owner, *_ = line.split()
            assert owner == "root/root"
            assert mode in (
                "drwxr-xr-x",
                "-rw-r--r--",
                "lrwxrwxrwx",
                *(["-rwxr-xr-x"] if "usr/bin/" in line else []),
            ), line
        folder = unpack(deb, tmp_path / name)
        done = subprocess.run(
            ["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=folder, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "")
        for paper in ("copyright", "changelog.Debian.gz"):
            assert (folder / "usr/share/doc" / name / paper).exists()
        assert "link 1.0: MIT" in (tmp_path / "skerry/usr/share/doc/skerry/copyright").read_text()


def test_settings_are_kept_on_an_upgrade_because_dpkg_knows_them(built, tmp_path):
    kept = {}
    for name, deb in built.items():
        folder = unpack(deb, tmp_path / name)
        listed = folder / "DEBIAN" / "conffiles"
        kept[name] = listed.read_text().split() if listed.exists() else []
        assert kept[name] == sorted(f"/{path}" for path in list_files(folder) if path.startswith("etc/"))
    settings = {name: [f"/etc/skerry/{each}.toml" for each in names] for name, names in SETTINGS.items()}
    assert kept == {"skerry": [], **settings}


SETTINGS = {"skerry-core": ["core", "relay", "signer"], "skerry-agent": ["agent"]}


def test_two_builds_of_one_commit_hold_the_same(built, tmp_path):
    again = build_packages(make_tree(tmp_path), tmp_path / "out", [3])
    for deb in again:
        assert deb.read_bytes() == built[deb.name.partition("_")[0]].read_bytes()


def test_every_unit_user_and_folder_that_is_written_is_shipped():
    shipped = {source for name in PACKAGES for source, _, _ in read_install(ROOT, name)}
    for folder in ("systemd", "sysusers", "tmpfiles", "podman", "settings"):
        assert {f"packaging/{folder}/{path.name}" for path in (ROOT / "packaging" / folder).iterdir()} <= shipped


def test_a_dependency_that_is_missing_or_asked_for_by_nobody_is_an_error(tmp_path):
    tree = make_tree(tmp_path)
    make_library(tree, "stray", [])
    with pytest.raises(BuildFailed, match="nobody asked for stray"):
        allot_files(tree)
    (tmp_path / "other").mkdir()
    make_library(tmp_path / "other", "skerry", ["gone"])
    with pytest.raises(BuildFailed, match="gone is not among the wheels"):
        allot_files(tmp_path / "other")


def test_every_library_of_the_project_is_pinned_by_its_digest():
    pins = [line for line in (FOLDER / "wheels.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in pins)
    pinned = {line.partition("==")[0] for line in pins}
    wanted = {re.match(r"[A-Za-z0-9.-]+", need)[0].replace(".", "-").lower() for need in list_needed(ROOT)}
    assert wanted <= pinned
    assert set(EXTRAS) == set(PACKAGES) - {"skerry"}


# Their scripts


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.iterdir() if path.suffix.lstrip(".") in SCRIPTS))
def test_a_script_is_sound_and_ends_at_the_first_error(script):
    text = (FOLDER / script).read_text()
    assert text.startswith("#!/bin/sh\n# ")
    assert "\nset -e\n" in text
    assert subprocess.run(["sh", "-n", FOLDER / script], capture_output=True, check=False).returncode == 0
    # What an owner's machine knows is never deleted by a package.
    assert not re.search(r"\brm\b(?! -r \$place\")|rmdir|userdel", text)


def run_script(folder: Path, script: str, *words: str, enabled: bool = True) -> tuple[list[str], str]:
    """Run a script on a machine whose tools only say that they were called; the calls, and what was printed."""
    calls, tools = folder / "calls", folder / "tools"
    tools.mkdir(exist_ok=True)
    calls.write_text("")
    for tool in ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "deb-systemd-invoke", "deb-systemd-helper"):
        asks = "" if enabled or tool != "deb-systemd-helper" else 'case "$*" in *was-enabled*) exit 1;; esac'
        (tools / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>{calls}\n{asks}\n')
        (tools / tool).chmod(0o755)
    text = (FOLDER / script).read_text().replace("/run/systemd/system", str(folder))
    text = text.replace("/usr/bin/deb-systemd-helper", str(tools / "deb-systemd-helper"))
    text = re.sub(r"(?<= )/(?=var/|etc/)", f"{folder}/", text)
    (folder / script).write_text(text)
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", folder / script, *words], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return calls.read_text().splitlines(), done.stdout


def test_a_first_installation_makes_users_and_places_and_starts_all(tmp_path):
    calls, _ = run_script(tmp_path, "skerry-core.postinst", "configure", "")
    assert calls[:2] == ["systemd-sysusers skerry-core.conf", "systemd-tmpfiles --create skerry-core.conf"]
    assert "deb-systemd-helper enable skerry-backup.timer" in calls
    assert calls[-1] == "deb-systemd-invoke start skerry-core.service skerry-signer.service skerry-backup.timer"


def test_an_upgrade_stops_nothing_before_and_restarts_what_is_on(tmp_path):
    for name in SETTINGS:
        assert run_script(tmp_path, f"{name}.prerm", "upgrade", "0.1.0-2")[0] == []
    calls, _ = run_script(tmp_path, "skerry-agent.postinst", "configure", "0.1.0-1")
    assert calls[-1] == "deb-systemd-invoke restart skerry-agent.service"
    # Containers, and podman that may be asked right now, are left alone.
    assert not [call for call in calls if "containers" in call or "restart skerry-podman" in call]
    calls, _ = run_script(tmp_path, "skerry-core.postinst", "configure", "0.1.0-1")
    # The relay is started by its operator alone.
    assert [call for call in calls if "relay" in call] == ["systemctl try-restart skerry-relay.service"]


def test_a_unit_that_was_disabled_stays_so(tmp_path):
    calls, _ = run_script(tmp_path, "skerry-core.postinst", "configure", "0.1.0-1", enabled=False)
    assert "deb-systemd-helper update-state skerry-core.service" in calls
    assert not [call for call in calls if call.startswith("deb-systemd-helper enable")]


def test_removing_stops_the_agent_before_what_it_looks_after_and_podman_last(tmp_path):
    calls, _ = run_script(tmp_path, "skerry-agent.prerm", "remove")
    assert calls == [
        "deb-systemd-invoke stop skerry-agent.service skerry-containers.service",
        "deb-systemd-invoke stop skerry-limits.socket skerry-podman.socket skerry-podman.service",
    ]


def test_a_purge_names_what_stays_and_deletes_nothing(tmp_path):
    kept = tmp_path / "var/lib/skerry/agent/journal.db"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"all that the site knows")
    calls, said = run_script(tmp_path, "skerry-agent.postrm", "purge")
    assert "var/lib/skerry/agent stays; whoever needs it no more removes it: rm -r " in said
    assert "podman stays" not in said
    assert kept.read_bytes() == b"all that the site knows"
    assert "deb-systemd-helper purge skerry-podman.socket skerry-limits.socket skerry-agent.service" in calls
    assert run_script(tmp_path, "skerry-agent.postrm", "remove") == (["systemctl --system daemon-reload"], "")
