"""The story of the packages: apt installs them on a bare Debian without a network, upgrades, removes and purges them.

What they depend on lies in the guest's own apt and nothing of it is installed before, so a dependency that a package
forgets to name is missed here. The rest is as in `units.py`. ``python -m tests.guest.packages --json F`` tells it.
"""

import sys
import time

from tools.deb.__main__ import PACKAGES, build_packages
from tools.deb.tree import fetch_wheels, make_tree

from tests.e2e.demo.stage import Report
from tests.e2e.tiny_image import tiny_image
from tests.guest.disk import Disk, ensure_disk
from tests.guest.guest import Guest
from tests.guest.parcel import pack_parcel
from tests.guest.units import IMAGE, INSTALL_S_MAX, PARCEL, PROGRAMS, SECRET, USERS, Units, tell_story
from tests.tidy.sources import ROOT

#: What the packages depend on; podman brings more of its own.
NEEDED = (
    "aardvark-dns",
    "catatonit",
    "conmon",
    "crun",
    "golang-github-containers-common",
    "iptables",
    "netavark",
    "nftables",
    "podman",
    "python3",
    "uidmap",
)
#: apt unpacks some forty packages on an emulated processor, and then waits for three programs to start.
APT_S_MAX = 2 * INSTALL_S_MAX
BACKUPS = "/var/backups/skerry"
#: The timer fires at once, and the rest of it is as it was shipped.
AT_ONCE = "[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n"
NOTE = "# An operator's own line."


class Packages(Units):
    """The story, step by step, on one guest."""

    def tell(self) -> None:
        """All of it; raises ``StepFailed`` or what the guest raises at the first step that does not hold."""
        step = self.stage.step
        disk = self._make_disk()
        step("the packages are built, and again as an upgrade", self._build)
        try:
            step("a bare Debian guest boots, emulated", lambda report: self._boot(report, disk))
            step("apt installs core and agent without a network; systemd has started them", self._install)
            step("the core is founded, and the box joins a site", self._join)
            step("an app with a volume and a secret is applied and answers", self._apply)
            step("the backup timer fires, and of many old files the newest stay", self._back_up)
            step("an upgrade restarts core, signer and agent, and no container", self._upgrade)
            step("removed: nothing of ours runs, everything it knew stays", self._remove)
            step("installed again: the app comes back with what it had, and the site is online", self._install_again)
            step("purged: settings go, state stays and is named", self._purge)
        except Exception:
            self._show_journal()
            raise
        finally:
            if hasattr(self, "guest"):
                self.guest.stop()

    # Steps

    def _make_disk(self) -> Disk:
        made: list[Disk] = []
        self.stage.step("a root disk of a bare Debian", lambda _: made.append(ensure_disk((), fetched=NEEDED)))
        return made[0]

    def _build(self, report: Report) -> None:
        wheels, tree = self._folder / "wheels", self._folder / "tree"
        fetch_wheels(ROOT, wheels)
        make_tree(ROOT, wheels, tree)
        self._debs = build_packages(tree, self._folder / "debs", (1, 2))
        sizes = [f"{each.name.partition('_')[0]} {each.stat().st_size / 1e6:.1f} MB" for each in self._debs]
        report.detail = ", ".join(sizes[: len(PACKAGES)])

    def _boot(self, report: Report, disk: Disk) -> None:
        content = {each.name: each for each in self._debs}
        parcel = pack_parcel(self._folder / "parcel.tar", {**content, "tiny.tar": tiny_image(IMAGE)})
        self.guest = Guest(disk, self._folder, parcel=parcel)
        seconds = self.guest.boot()
        self.guest.wait_until(self._is_up, "the end of the boot")
        for program in ("podman", "python3", "nft"):
            self._expect(self.guest.run("which", program).exit, f"{program} is there before it was installed")
        report.detail = f"{seconds:.0f} s until it could be asked; neither podman nor Python is there"

    def _install(self, report: Report) -> None:
        self.guest.must("mkdir", "-p", PARCEL)
        self.guest.must("tar", "-xf", "/dev/vdb", "-C", PARCEL, seconds=INSTALL_S_MAX)
        self._apt("install", "--no-install-recommends", *self._list_debs(1))
        for name in PROGRAMS:
            self._expect_active(name)
            user = self._ask("ps", "-o", "user:32=", "-p", self._show(name, "MainPID"))
            self._expect(user == USERS[name], f"{name} runs as {user}")
        on = self._ask("systemctl", "is-enabled", "skerry-backup.timer", "skerry-podman.socket").split()
        self._expect(on == ["enabled"] * 2, f"timer and socket are {on}")
        count = len(self._ask("dpkg-query", "-W").splitlines())
        report.detail = f"{self._ask('skerry', 'version').splitlines()[0]}; {count} packages on the machine"

    def _back_up(self, report: Report) -> None:
        for year in range(2000, 2020):
            self._ask(
                "install", "-o", "skerry-core", "-m", "600", "/dev/null", f"{BACKUPS}/core-{year}0101T030000Z.backup"
            )
        self.guest.write("/run/systemd/system/skerry-backup.timer.d/at-once.conf", AT_ONCE)
        self.guest.must("systemctl", "daemon-reload")
        self.guest.must("systemctl", "restart", "skerry-backup.timer")

        def list_backups() -> list[str]:
            return sorted(self._ask("ls", BACKUPS).split())

        self.guest.wait_until(lambda: list_backups()[-1] > "core-2020" and len(list_backups()) == 14, "a backup")
        self.guest.wait_until(lambda: self._show("backup", "ActiveState") == "inactive", "the end of the backup")
        self._expect(self._show("backup", "Result") == "success", "the backup failed")
        newest = list_backups()[-1]
        found = self._ask("stat", "-c", "%U %a %s", f"{BACKUPS}/{newest}").split()
        self._expect(found[:2] == ["skerry-core", "600"], f"the backup is {found}")
        report.detail = f"{newest}, {int(found[2]) / 1e3:.0f} kB, and the newest 13 of 20 older ones"

    def _upgrade(self, report: Report) -> None:
        settings = self._ask("cat", "/etc/skerry/agent.toml")
        self.guest.write("/etc/skerry/agent.toml", f"{settings}\n{NOTE}\n")
        before = {name: self._show(name, "MainPID") for name in PROGRAMS}
        seconds = self._apt("install", *self._list_debs(2))
        for name in PROGRAMS:
            self._expect_active(name)
            self._expect(self._show(name, "MainPID") != before[name], f"{name} was not restarted")
        self._expect_untouched()
        self._expect(NOTE in self._ask("cat", "/etc/skerry/agent.toml"), "the operator's settings are gone")
        version = self._ask("dpkg-query", "-W", "-f", "${Version}", "skerry-agent")
        self._expect(version.endswith("-2"), f"{version} is installed")
        report.detail = f"{seconds:.0f} s; same process of the app, by number and start; settings kept"

    def _remove(self, report: Report) -> None:
        seconds = self._apt("remove", *PACKAGES)
        ours = ("/usr/lib/skerry", "conmon", "podman", "httpd")
        left = [line for line in self._ask("ps", "-eo", "args=").splitlines() if any(name in line for name in ours)]
        self._expect(not left, f"still running: {left}")
        for place in ("agent", "podman", "core/core.db", "signer/keyring"):
            self._ask("test", "-e", f"/var/lib/skerry/{place}")
        self._expect(self.guest.run("test", "-e", "/usr/lib/skerry").exit, "/usr/lib/skerry is still there")
        self._expect(NOTE in self._ask("cat", "/etc/skerry/agent.toml"), "the operator's settings are gone")
        report.detail = f"{seconds:.0f} s; journal, keys, images, volumes, database and backups are there"

    def _install_again(self, report: Report) -> None:
        self._apt("install", *self._list_debs(2))
        self.guest.wait_until(self._answers, "an answer of the app")
        self._wait_settled()
        self._expect_inside("the secret", SECRET, "cat", "/run/secrets/word")
        self._expect_inside("the volume", "/kept/mark", "ls", "/kept/mark")
        self._started = self._find_process()
        self.guest.wait_until(self._is_online, "the site to be online and settled")
        report.detail = "secret and volume as they were"

    def _purge(self, report: Report) -> None:
        words = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "purge", *PACKAGES)
        said = self.guest.must(*words, seconds=APT_S_MAX)
        for place in ("/var/lib/skerry/core", "/var/lib/skerry/agent", BACKUPS):
            self._expect(f"{place} stays" in said, f"nothing was said of {place}")
            self._ask("test", "-d", place)
        for place in ("/etc/skerry/agent.toml", "/etc/skerry/core.toml", "/usr/lib/skerry"):
            self._expect(self.guest.run("test", "-e", place).exit, f"{place} is still there")
        self._expect(not self.guest.run("dpkg", "--audit").out, "dpkg finds something half done")
        known = self.guest.run("systemctl", "list-unit-files", "--no-legend", "skerry-*").out
        self._expect(not known.strip(), f"systemd still knows {known}")
        report.detail = "the machine has the state and the users, and nothing that runs"

    # Words

    def _apt(self, word: str, *what: str) -> float:
        """Let apt do something without a question; the seconds."""
        started = time.monotonic()
        self.guest.must("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", word, *what, seconds=APT_S_MAX)
        return time.monotonic() - started

    def _list_debs(self, revision: int) -> list[str]:
        return [f"{PARCEL}/{each.name}" for each in self._debs if f"-{revision}_" in each.name]


if __name__ == "__main__":
    sys.exit(tell_story(Packages, "The packages on a bare Debian", sys.argv[1:]))
