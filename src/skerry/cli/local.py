"""``skerry up`` and ``skerry down``: a core, a signer and local sites on this machine, without a question asked.

Keys are made by the signer and never leave its keyring; the core's process cannot read them. What runs at a site goes
on after ``down``, as it does whenever an agent is not there. Site 1 is this machine; ``cli/berths.py`` has the others.
"""

import contextlib
import os
from pathlib import Path

import click
import msgspec

from skerry.berths.plan import SITE
from skerry.cli import agent as local_agent
from skerry.cli import berths
from skerry.cli.founding import CONTEXT, Ground, found
from skerry.cli.options import pass_session
from skerry.cli.output import tell
from skerry.cli.processes import Program, skerry_command
from skerry.cli.session import Session
from skerry.clock import SystemMint, pause
from skerry.link.ports import Endpoint, parse_endpoint
from skerry.model.errors import Conflict, Refused, SkerryError
from skerry.model.ids import SiteName
from skerry.sdk.client import Client
from skerry.sdk.contexts import Context
from skerry.sdk.signing import SignerClient
from skerry.sdk.verifying import read_root
from skerry.settings import Places

API_PORT, LINK_PORT = 7710, 7711
_PODMAN_SOCKET = Path("/run/podman/podman.sock")
#: How often a box asks to join while the core's listener comes up, and the wait between.
_JOIN_TRIES, _JOIN_WAIT_S = 10, 1.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What runs here: where its files are and where it listens."""

    places: Places
    api_port: int = API_PORT
    link_host: str = "127.0.0.1"
    link_port: int = LINK_PORT
    endpoints: str = ""

    @property
    def url(self) -> str:
        """Address of the core's API."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def data(self) -> Path:
        """Where the core keeps everything."""
        return self.places.state / "core"

    @property
    def signer_socket(self) -> Path:
        """Where the signer is asked."""
        return self.places.run / "signer.sock"

    @property
    def signer_core(self) -> Path:
        """The file that tells the signer where the core is."""
        return self.places.config / "signer-core.json"

    @property
    def site_run(self) -> Path:
        """Where the local site's agent is asked."""
        return self.places.run / "site"

    def program(self, name: str, mark: str, command: list[str]) -> Program:
        """Return a program with its files in the usual places."""
        log = self.places.state / "log" / f"{name}.log"
        return Program(name, command, pid_file=self._pid_file(name), log=log, mark=mark)

    def _pid_file(self, name: str) -> Path:
        return self.places.run / f"{name}.pid"

    def core(self) -> Program:
        """The core."""
        command = skerry_command(
            "core",
            data=self.data,
            api_port=self.api_port,
            link_host=self.link_host,
            link_port=self.link_port,
            endpoints=self.endpoints,
            pid_file=self._pid_file("core"),
        )
        return self.program("core", str(self.data), command)

    def signer(self) -> Program:
        """The signer."""
        command = skerry_command(
            "signer",
            keyring=self.places.config / "keyring",
            socket=self.signer_socket,
            core=self.signer_core,
            pid_file=self._pid_file("signer"),
        )
        return self.program("signer", str(self.signer_socket), command)

    def agent(self, podman: Path) -> Program:
        """The agent of the local site."""
        state = self.places.state / "site"
        command = skerry_command(
            "agent", state=state, run=self.site_run, podman_socket=podman, pid_file=self._pid_file("agent")
        )
        return self.program("agent", str(state), command)


@click.command()
@click.option("--sites", type=click.IntRange(0), help="How many local sites, up to 16; by default one where podman is.")
@click.option("-d", "--detach", is_flag=True, help="Return when everything runs.")
@click.option(
    "--api-port", type=int, default=API_PORT, show_default=True, help="Port of the API, on this machine only."
)
@click.option("--link-port", type=int, default=LINK_PORT, show_default=True, help="Port for sites.")
@click.option("--listen", default="127.0.0.1", show_default=True, help="Address for sites; 0.0.0.0 lets far ones in.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="HOST:PORT", help="Where sites reach this core.")
@pass_session
def up(
    session: Session,
    sites: int | None,
    detach: bool,
    api_port: int,
    link_port: int,
    listen: str,
    endpoints: tuple[str, ...],
) -> None:
    """Start a core, a signer and local sites, here and now; what runs already is left alone.

    With --sites N from 2 on, sites local-2 and following live beside the first one, each in a network and with a podman
    of its own; those above N are stopped.
    """
    berths.check_machine(sites, is_root=os.geteuid() == 0, has_podman=_has_podman())
    plan = Plan(
        places=session.places,
        api_port=api_port,
        link_host=listen,
        link_port=link_port,
    )
    plan = _keep_ports(plan)
    started: list[Program] = []
    try:
        _start(plan.signer(), started)
        plan = _keep_endpoints(plan, endpoints)
        _start(plan.core(), started)
        context = _found(plan)
        if sites or (sites is None and _has_podman()):
            _start_site(plan, context, started)
        elif sites is None:
            tell(f"no local site: it needs root and a podman service at {_PODMAN_SOCKET}")
        _settle_further(plan, context, sites, started)
        _print_next(context, with_site=sites != 0 and plan.agent(_PODMAN_SOCKET).find() is not None)
    except BaseException:
        _stop(started)
        raise
    if detach:
        return
    tell("\nCtrl-C stops it all; `skerry up -d` returns at once.")
    with contextlib.suppress(KeyboardInterrupt):
        while all(program.find() for program in started):
            pause(1.0)
    _stop(started)


@click.command()
@click.option(
    "--power-off", is_flag=True, help="Also switch sites local-2 and following off: their containers end, disks stay."
)
@pass_session
def down(session: Session, power_off: bool) -> None:
    """Stop what `up` has started. Containers at local sites go on running; state and keys stay."""
    plan = Plan(places=session.places)
    programs = (plan.agent(_PODMAN_SOCKET), plan.signer(), plan.core())
    stopped = [program.name for program in programs if program.stop()]
    for number in berths.list_kept(plan.places):
        stopped += berths.open_berth(plan.places, number).stop()
    tell(f"stopped: {', '.join(stopped) or 'nothing ran'}")
    if power_off:
        off = berths.switch_off_all(plan.places)
        tell(f"switched off: {', '.join(off) or 'no site was on'}")
    elif any(name.startswith("agent") for name in stopped):
        tell("containers at local sites go on running")


def _start(program: Program, started: list[Program]) -> None:
    if program.start():
        started.append(program)
    tell(f"{program.name} runs")


def _stop(programs: list[Program]) -> None:
    for program in reversed(programs):
        program.stop()
    # After all of them: whoever reads this may be gone.
    for program in reversed(programs):
        tell(f"{program.name} is stopped")


def _keep_ports(plan: Plan) -> Plan:
    """Return the plan with the ports of the core that runs already, if one does: it is left alone."""
    core = plan.core()
    api_port = int(core.read_setting("api-port") or plan.api_port)
    link_port = int(core.read_setting("link-port") or plan.link_port)
    link_host = core.read_setting("link-host") or plan.link_host
    if (api_port, link_port) != (plan.api_port, plan.link_port):
        tell(f"the core runs already, with ports {api_port} and {link_port}; skerry down ends it")
    return msgspec.structs.replace(plan, api_port=api_port, link_port=link_port, link_host=link_host)


def _keep_endpoints(plan: Plan, given: tuple[str, ...]) -> Plan:
    """Return the plan with the addresses under which sites reach this core: those that were signed, once they were.

    Raises ``Refused`` for others: every site dials what the root document says, whatever stands in a setting.
    """
    wanted = tuple(part for text in given for part in text.split(",") if part)
    with SignerClient(plan.signer_socket) as signer:
        root = signer.read_status().root
    here = f"127.0.0.1:{plan.link_port}"
    if root is None:
        return msgspec.structs.replace(plan, endpoints=",".join(wanted) or here)
    signed = read_root(root).endpoints
    is_local = all(address.startswith("127.0.0.1:") for address in signed)
    if not wanted and is_local:
        wanted = (here,)
    if wanted and wanted != signed:
        detail = (
            f"Sites reach this core at {', '.join(signed)}: the root document says so, and it is signed once, at the "
            f"first `skerry up`. It cannot be signed again yet, so no site would dial {', '.join(wanted)}."
        )
        port = signed[0].rpartition(":")[2]
        raise Refused("E-NOT-YET", detail, hint=f"skerry up --link-port {port}" if is_local else "skerry up")
    return msgspec.structs.replace(plan, endpoints=",".join(signed))


def _found(plan: Plan) -> Context:
    """Return the context of this core; a new core is founded first."""
    ground = Ground(
        url=plan.url,
        data=plan.data,
        signer_socket=plan.signer_socket,
        signer_core=plan.signer_core,
        config=plan.places.config,
    )
    is_new = not plan.signer_core.exists()
    context = found(ground)
    if is_new:
        tell(f"keys are in {plan.places.config / 'keyring'}; context {CONTEXT} is used from now on")
    return context


def _has_podman() -> bool:
    return os.geteuid() == 0 and _PODMAN_SOCKET.exists()


def _start_site(plan: Plan, context: Context, started: list[Program]) -> None:
    """Start the agent of this machine as a site and let it join."""
    if not _has_podman():
        detail = f"A local site needs root and a podman service at {_PODMAN_SOCKET}."
        raise Refused("E-PODMAN", detail, hint="systemctl enable --now podman.socket, or skerry up --sites 0")
    program = plan.agent(_PODMAN_SOCKET)
    if program.start():
        started.append(program)
    _join(context, plan.site_run / "agent.sock", SITE, f"127.0.0.1:{plan.link_port}")
    tell(f"site {SITE} runs")


def _settle_further(plan: Plan, context: Context, sites: int | None, started: list[Program]) -> None:
    """Start the further sites that are wanted, and stop those that are too many."""
    choice = berths.choose(plan.places, sites)
    reach = berths.Reach(
        tuple(parse_endpoint(text) for text in plan.endpoints.split(",")),
        Endpoint("127.0.0.1" if plan.link_host in ("0.0.0.0", "::") else plan.link_host, plan.link_port),
    )
    for number in choice.run:
        further = berths.open_berth(plan.places, number)
        further.start(reach, SystemMint(), started)
        _join(context, further.agent_socket, further.plan.site, plan.endpoints)
        tell(f"site {further.plan.site} runs, and publishes at {further.plan.visitors.their_address}")
    for number in choice.stop:
        further = berths.open_berth(plan.places, number)
        further.stop()
        tell(f"site {further.plan.site} is stopped; its containers go on running: skerry up --sites {number}")
    if choice.leave:
        names = ", ".join(f"{SITE}-{number}" for number in choice.leave)
        tell(f"left as they are: {names}; skerry up --sites {max(choice.leave)} starts what does not run")


def _join(context: Context, socket: Path, site: SiteName, core: str) -> None:
    """Let an agent join once; the core's listener may need a moment after the core was founded."""
    if local_agent.ask_at(socket, "GET", "/status")["joined"]:
        return
    with Client.from_context(context) as client:
        try:
            token = client.sites.add(site, labels={"tier": "local"}).token
        except Conflict:
            # It was made and did not come to join, or its disk was taken away.
            token = client.sites.make_join_token(site).token
    given = {"token": token, "core": core, "site": site}
    for left in range(_JOIN_TRIES - 1, -1, -1):
        try:
            local_agent.ask_at(socket, "POST", "/join", given, local_agent.JOIN_S)
            return
        except SkerryError:
            if not left:
                raise
            pause(_JOIN_WAIT_S)


def _print_next(context: Context, *, with_site: bool) -> None:
    tell(f"\nThe core answers at {context.url}, its console at {context.url}/console/.")
    tell("Next: skerry status")
    tell("      skerry image push ARCHIVE, skerry apply -f compose.yaml --wait")
    tell("      skerry token create console --role deployer --lifetime 1d, for the console")
    if not with_site:
        tell("      skerry site add NAME, and paste the line it prints on a box")
