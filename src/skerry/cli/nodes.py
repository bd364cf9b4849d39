"""``skerry node``: machines of sites, as the registrar signed them and as they report themselves."""

import click

from skerry.cli.names import complete_nodes, complete_sites
from skerry.cli.options import pass_session, with_watch
from skerry.cli.output import (
    Column,
    format_age,
    format_bytes,
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
)
from skerry.cli.session import Session
from skerry.cli.views import CONDITIONS, INSTANCES, NODES
from skerry.cli.watching import show_again
from skerry.model.answers import NodeDetail, NodeSummary
from skerry.model.errors import NotFound
from skerry.sdk.client import Client

COLUMNS: tuple[Column[NodeSummary], ...] = (
    Column("site", lambda node: node.site),
    NODES[0],
    Column("state", lambda node: node.state),
    Column("heard", lambda node: format_age(node.heard_s_ago), wide=True),
    *NODES[1:],
    Column("kernel", lambda node: node.kernel, wide=True),
    Column("conditions", lambda node: tuple(condition.kind for condition in node.conditions)),
)


def _name(node: NodeSummary) -> str:
    return f"node/{node.site}/{node.node}"


@click.command()
@click.option("-l", "--selector", default="", help="Only nodes of sites whose labels match, for example tier=store.")
@click.option("--site", default="", help="Only nodes of this site.", shell_complete=complete_sites)
@with_output
@with_watch
@pass_session
def list_nodes(session: Session, selector: str, site: str, output: str, watch: bool) -> None:
    """List the machines of sites, as they report themselves."""

    def read() -> list[NodeSummary]:
        return list(session.client.nodes.list(page_size=1_000, label_selector=selector, site=site))

    show_again(read, COLUMNS, output, _name, watch=watch)


@click.command()
@click.argument("where", metavar="SITE/NODE", shell_complete=complete_nodes)
@with_output
@pass_session
def show(session: Session, where: str, output: str) -> None:
    """Show a machine: what it has, what it said last, what runs on it."""
    detail = find_node(session.client, where)
    show_value(detail, output, _name(detail.summary), lambda: _draw(detail))


def find_node(client: Client, where: str) -> NodeDetail:
    """Return the node that ``SITE/NODE`` names."""
    site, _, node = where.partition("/")
    if not site or not node:
        raise click.BadParameter(f"{where!r} names no node of a site: write SITE/NODE.")
    try:
        return client.nodes.show(site, node)
    except NotFound as error:
        raise NotFound(error.code, f"There is no node {where}, or it is not yours.", hint="skerry node list") from error


def _draw(detail: NodeDetail) -> None:
    node: NodeSummary = detail.summary
    disk = f"{format_bytes(node.disk_free_bytes)} free of {format_bytes(node.disk_bytes)}"
    write_pairs(
        (
            ("node", node.node),
            ("site", node.site),
            ("state", node.state),
            ("heard", format_age(node.heard_s_ago)),
            ("labels", detail.labels),
            ("keys", node.key_class),
            ("reported", node.reported),
            ("processors", f"{node.cpu_m / 1000:g}" if node.reported else ""),
            ("memory", format_bytes(node.memory_bytes) if node.reported else ""),
            ("disk", disk if node.reported else ""),
            ("architecture", node.arch),
            ("kernel", node.kernel),
            ("agent", node.agent),
            ("facts", node.facts),
            ("devices", node.devices),
        )
    )
    write_section("Instances", detail.instances, INSTANCES)
    write_section("Conditions", node.conditions, CONDITIONS)
    tell(f"\nNext: skerry site show {node.site}")
