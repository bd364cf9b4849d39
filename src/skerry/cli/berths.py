"""Further sites of this machine for ``skerry up --sites N``: booted, joined, stopped, switched off.

``skerry.berths.plan`` has decided which and where; here it is done. Order of a start: the berth boots unless it runs,
then podman, then the ferry that carries the link, then the agent, which joins once. A stop ends the three programs and
leaves the containers, as everywhere; a berth that is switched off loses its containers and keeps its disk.
"""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from skerry.berths import namespaces, plan
from skerry.berths.berth import Berth
from skerry.berths.plan import BerthPlan, Choice, Pair
from skerry.cli.processes import Program, skerry_command
from skerry.clock import Mint
from skerry.link.ports import Endpoint
from skerry.model.errors import Refused, Unavailable
from skerry.model.limits import LOCAL_SITES_MAX
from skerry.settings import Places

FindProgram = Callable[[str], str | None]

#: Where a berth's agent is asked, as it sees it itself.
_RUN = Path("/run/skerry")


class Reach(msgspec.Struct, frozen=True):
    """Where sites look for the core, and where its listener for them really is on this machine."""

    endpoints: tuple[Endpoint, ...]
    core: Endpoint

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses of the core."""
        return tuple(each.host for each in self.endpoints)


class Further:
    """A further site of this machine: its berth and its programs."""

    def __init__(self, berth: BerthPlan) -> None:
        self.plan = berth
        # Nobody there answers for names, unless this machine does for all who ask.
        self._berth = Berth(berth.folder, berth.site, berth.disk, berth.link.address)

    @property
    def agent_socket(self) -> Path:
        """Where its agent is asked from outside: through the view of the files that the agent itself has."""
        return Path(f"/proc/{self.agent().find() or 0}/root{_RUN}/agent.sock")

    def podman(self) -> Program:
        """Podman's service; a container is not its child."""
        berth = self._berth
        command = berth.argv(*berth.podman_service())
        return self._make("podman", command, f"unix://{berth.podman_socket}", berth.podman_answers)

    def ferry(self, reach: Reach) -> Program:
        """What carries the link to the core; the only program of a berth that is outside it."""
        link = self.plan.link
        listeners = (Endpoint(plan.place_listener(each.host), each.port) for each in reach.endpoints)
        command = skerry_command(
            "ferry",
            net=self._berth.net,
            listen=",".join(dict.fromkeys(map(str, listeners))),
            device=link.device,
            outer=link.address,
            inner=link.their_address,
            core=reach.core,
            pid_file=self._pid_file("ferry"),
        )
        return self._make("ferry", command, str(self._berth.net))

    def agent(self) -> Program:
        """The site's agent."""
        state = self._berth.agent_folder
        command = skerry_command(
            "agent",
            state=state,
            run=_RUN,
            podman_socket=self._berth.podman_socket,
            refused_ranges=plan.list_refused(self.plan),
            pid_file=self._pid_file("agent"),
        )
        return self._make("agent", self._berth.argv(*command), str(state))

    def start(self, reach: Reach, mint: Mint, started: list[Program]) -> None:
        """Boot the berth and start its programs, unless they run already; each that was started is added to a list.

        Raises ``Unavailable`` when the berth cannot be made or a program does not start.
        """
        try:
            self._prepare(reach, mint)
        except OSError as error:
            detail = f"{self.plan.site} could not be made: {error}"
            raise Unavailable("E-BERTH", detail, hint="skerry down --power-off, and again") from error
        if self.podman().find() is None:
            # Left by a podman that was killed; the next one could not listen, and an answer would be nobody's.
            self._berth.podman_socket.unlink(missing_ok=True)
        # One by one: what had started before another did not is in the list, and whoever reads it stops it.
        started.extend(each for each in (self.podman(), self.ferry(reach), self.agent()) if each.start())

    def stop(self) -> list[str]:
        """Stop the programs; return the names of those that ran."""
        # Where the core is matters to nobody who stops a ferry.
        nowhere = Reach((), Endpoint("localhost", 1))
        return [each.name for each in (self.agent(), self.ferry(nowhere), self.podman()) if each.stop()]

    def switch_off(self) -> bool:
        """Stop everything, containers in their own way, and take the berth away; False when it was off."""
        was_on = self._berth.exists
        if was_on:
            with contextlib.suppress(OSError):  # what does not stop so ends with its berth
                self._berth.stop_containers()
        self.stop()
        self._destroy()
        return was_on

    def _prepare(self, reach: Reach, mint: Mint) -> None:
        """Write the berth's settings anew, and boot it unless it runs."""
        berth, booted = self._berth, self.plan.booted
        berth.install()
        # Written in place: a running berth has this very file mounted.
        (self.plan.disk / "hosts").write_text(plan.write_hosts(self.plan.site, reach.hosts))
        if not (berth.exists and booted.exists()):
            self._destroy()
            namespaces.hold_folder(self.plan.folder)
            berth.boot(plan.make_boot_id(mint.draw(16)))
            berth.run("mount", "--bind", self.plan.disk / "hosts", "/etc/hosts")
            for pair in (self.plan.visitors, self.plan.link):
                self._connect(pair)
            booted.touch()
        for address in plan.list_own_addresses(reach.hosts):
            berth.run("ip", "address", "replace", address, "dev", "lo")

    def _connect(self, pair: Pair) -> None:
        berth = self._berth
        peer = ("type", "veth", "peer", "name", pair.their_device, "netns", berth.net)
        namespaces.run("ip", "link", "add", pair.device, *peer)
        for run, device, address in (
            (namespaces.run, pair.device, pair.address),
            (berth.run, pair.their_device, pair.their_address),
        ):
            # No IPv6 of its own: nobody asks for it, and its solicitations would be counted as traffic.
            run("ip", "link", "set", device, "addrgenmode", "none")
            run("ip", "address", "add", f"{address}/30", "dev", device)
            run("ip", "link", "set", device, "up")

    def _destroy(self) -> None:
        self.plan.booted.unlink(missing_ok=True)
        if self._berth.exists:
            # The kernel takes its time to drop a namespace; the next boot wants these names.
            for pair in (self.plan.visitors, self.plan.link):
                with contextlib.suppress(OSError):
                    namespaces.run("ip", "link", "delete", pair.device)
        self._berth.destroy()

    def _make(self, name: str, command: list[str], mark: str, answers: Callable[[], bool] | None = None) -> Program:
        return Program(
            f"{name} of {self.plan.site}",
            command,
            pid_file=self._pid_file(name),
            log=self._berth.log_folder / f"{name}.log",
            mark=mark,
            env=self._berth.env,
            answers=answers,
        )

    def _pid_file(self, name: str) -> Path:
        # On the disk, which is where berth and machine see the same files.
        return self.plan.disk / f"{name}.pid"


def find_program(name: str) -> str | None:
    """Say where a program is that berths are made with."""
    return shutil.which(name, path=namespaces.PATH)


def check_machine(sites: int | None, *, is_root: bool, has_podman: bool, find: FindProgram = find_program) -> None:
    """Raise ``Refused`` when this machine cannot have so many sites of its own; nothing is changed before this."""
    if sites is None or sites < 2:
        return
    fewer = "skerry up --sites 0 starts none"
    if sites > LOCAL_SITES_MAX:
        detail = f"{sites} sites are more than the {LOCAL_SITES_MAX} that one machine is for."
        raise Refused("E-USAGE", detail, hint=f"skerry up --sites {LOCAL_SITES_MAX}")
    if not is_root:
        raise Refused("E-BERTH", "Sites of this machine need root, for their networks and containers.", hint=fewer)
    if lacking := plan.find_lacking(find):
        packages = " ".join(sorted({plan.PROGRAMS[name] for name in lacking}))
        detail = f"Several sites on this machine need {', '.join(lacking)}, which is not here."
        raise Refused("E-BERTH", detail, hint=f"apt-get install {packages}")
    if not has_podman:
        detail = "The first site needs the podman service of this machine, which does not run."
        raise Refused("E-PODMAN", detail, hint="systemctl enable --now podman.socket")


def list_kept(places: Places) -> list[int]:
    """Return the numbers of the further sites that have a disk here."""
    folder = places.state / "berths"
    names = [each.name for each in folder.iterdir()] if folder.exists() else []
    return sorted(number for name in names if (number := plan.read_number(name)) is not None)


def choose(places: Places, sites: int | None) -> Choice:
    """Say what becomes of the further sites of this machine."""
    return plan.choose_berths(sites, list_kept(places))


def open_berth(places: Places, number: int) -> Further:
    """Return site ``number`` of this machine, which may not be made yet."""
    return Further(plan.plan_berth(number, places.state, places.run))


def switch_off_all(places: Places) -> list[str]:
    """Switch off every further site of this machine; return the names of those that were on."""
    furthers = [open_berth(places, number) for number in list_kept(places)]
    names = [each.plan.site for each in furthers if each.switch_off()]
    namespaces.release_folder(places.run / "berths")
    return list(names)
