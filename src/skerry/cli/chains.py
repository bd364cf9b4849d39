"""``skerry chain``: ordered paths of traffic through services: who has that traffic, whether it passes and how fast."""

import click

from skerry.cli.calls import find_site, make_sign, say_what_is_missing
from skerry.cli.names import complete_apps, complete_chains, complete_sites
from skerry.cli.options import pass_session, split_owned
from skerry.cli.output import Column, format_age, show_list, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.model.answers import ChainNodeView, ChainView
from skerry.model.asks import ChainTestQuery
from skerry.model.observed import ChainProbed, ChainStepProbed

#: Exit code of a test that found something, as of ``doctor``.
FAULTY = 3


def format_span(span_us: int) -> str:
    """Write a short time: 40 µs, 1.2 ms."""
    return f"{span_us} µs" if span_us < 1_000 else f"{span_us / 1_000:.3g} ms"


def _write_latency(each: ChainNodeView) -> str:
    """Return the latency of each step in order, and of all; at most what is written, since sites tell it in steps."""
    if not each.path_us:
        return ""
    steps = " + ".join(
        f"{format_span(each.latency_us[step])}" if step in each.latency_us else "?" for step in each.steps
    )
    return f"≤ {steps}, all ≤ {format_span(each.path_us)}"


def _write_packets(each: ChainNodeView) -> str:
    if each.counted_s_ago is None:
        return ""
    counts = (each.packets.get(step, (0, 0)) for step in each.steps)
    return f"{', '.join(f'{out}/{back}' for out, back in counts)} ({format_age(each.counted_s_ago)} ago)"


COLUMNS: tuple[Column[ChainView], ...] = (
    Column("chain", lambda each: f"{each.app}/{each.chain}"),
    Column("path", lambda each: " → ".join((each.start, *each.through, each.end))),
    Column("fail", lambda each: each.fail),
    Column("whole", lambda each: each.whole),
    Column("around", lambda each: each.around),
    Column("closed", lambda each: each.closed),
)

_NODES: tuple[Column[ChainNodeView], ...] = (
    Column("site", lambda each: each.site),
    Column("node", lambda each: each.node, wide=True),
    Column("state", lambda each: f"{each.state}, late" if each.late else each.state),
    Column("steps", lambda each: ", ".join(each.steps[step] or f"{step}: none" for step in each.steps)),
    Column("latency", _write_latency),
    Column("packets out/back", _write_packets),
    Column("reason", lambda each: "; ".join(text for text in (each.reason, each.flaw) if text)),
)

_TESTED: tuple[Column[ChainStepProbed], ...] = (
    Column("step", lambda each: each.service),
    Column("instance", lambda each: each.instance),
    Column("given", lambda each: each.given),
    Column("passed on", lambda each: each.passed),
    Column("latency", lambda each: format_span(each.median_us) if each.passed else ""),
    Column("longest", lambda each: format_span(each.most_us) if each.passed else ""),
)


@click.command()
@click.option("--app", default="", help="Only chains of this app.", shell_complete=complete_apps)
@with_output
@pass_session
def list_chains(session: Session, app: str, output: str) -> None:
    """List the service chains of apps."""
    found = session.client.chains.list(page_size=1_000, app=app)
    show_list(found, COLUMNS, output, lambda each: f"chain/{each.app}/{each.chain}")


@click.command()
@click.argument("chain", metavar="APP/CHAIN", shell_complete=complete_chains)
@with_output
@pass_session
def show(session: Session, chain: str, output: str) -> None:
    """Show a chain, and who has its traffic at each node."""
    app, name = split_owned(chain, "CHAIN")
    found = session.client.chains.show(app, name)

    def draw() -> None:
        view = found.chain
        write_pairs(
            [
                ("path", " → ".join((view.start, *view.through, view.end))),
                ("way back", "the same steps the other way round" if view.symmetric else "straight"),
                ("fail", view.fail),
                ("max latency", format_span(view.max_latency_us) if view.max_latency_us else "no limit"),
            ]
        )
        if found.nodes:
            write_section("Nodes", found.nodes, _NODES)
        if found.more:
            tell(f"{found.more} further nodes are not listed")
        if view.closed:
            tell(f"Next: at {view.closed} nodes nothing passes; skerry instance list --app {app} says why")

    show_value(found, output, f"chain/{chain}", draw)


@click.command("test")
@click.argument("chain", metavar="APP/CHAIN", shell_complete=complete_chains)
@click.option("--site", help="At this site; needed where its steps run at several.", shell_complete=complete_sites)
@with_output
@pass_session
def run_test(session: Session, chain: str, site: str | None, output: str) -> None:
    """Send test packets through a chain at a site, and say which steps they passed in which time.

    They are what the chain is about, enter where its traffic does, and die at the node behind the last step: none
    leaves the site. Ends with 3 where not all of them passed every step in its order, and in time.
    """
    app, name = split_owned(chain, "CHAIN")
    view = session.client.chains.show(app, name).chain
    step = view.through[0]
    query = ChainTestQuery(service=step, site=site or find_site(session, app, step), chain=name)
    with say_what_is_missing(app, query):
        sign = make_sign(session, app, query, verb="test-chain", chain=name)
        found = session.client.test_chain(app, query, sign)
    verdict = judge(found, view.max_latency_us)

    def draw() -> None:
        write_pairs(
            [
                ("sent", f"{found.sent} × {found.what}" if found.sent else "nothing"),
                ("passed all steps in order", found.arrived),
                ("lost", f"{found.sent - found.arrived} of {found.sent}"),
                (
                    "latency",
                    f"{format_span(found.median_us)}, longest {format_span(found.most_us)}" if found.arrived else "",
                ),
                ("verdict", verdict or "passes"),
            ]
        )
        if found.steps:
            write_section("Steps", found.steps, _TESTED)

    show_value(found, output, f"chain/{chain}", draw)
    if verdict:
        click.get_current_context().exit(FAULTY)


def judge(found: ChainProbed, max_latency_us: int) -> str:
    """Say what is wrong with a chain by its test packets; empty where nothing is."""
    if found.reason or found.arrived < found.sent:
        return found.reason or "not all arrived"
    if 0 < max_latency_us < found.median_us:
        return f"late: its owner allows {format_span(max_latency_us)}"
    return ""
