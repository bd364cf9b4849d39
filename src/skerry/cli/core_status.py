"""``skerry core status``: what this context's core is, who it says it is to sites, and whether it can do its work."""

import click

from skerry.cli.options import pass_session
from skerry.cli.output import show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.answers import CoreIdentity, Health
from skerry.trust.keys import key_id

_DEGRADED = 3


@click.command()
@with_output
@pass_session
def status(session: Session, output: str) -> int:
    """Show what this context's core is and how it does; for operators. Exit code 3 when it cannot do its work."""
    core = session.client.core
    identity, health = core.show_core(), core.check_ready()
    shown = {"url": session.context.url, "identity": identity, "health": health}
    show_value(shown, output, f"core/{session.context.url}", lambda: _draw(session.context.url, identity, health))
    return 0 if health.ok and identity.root else _DEGRADED


def _draw(url: str, identity: CoreIdentity, health: Health) -> None:
    checks = ", ".join(f"{name} {said}" for name, said in health.checks.items())
    write_pairs(
        (
            ("core", url),
            ("release", identity.version),
            (
                "ready",
                "yes" if health.ok else f"no: {checks}",
            ),
            ("sites reach it at", identity.endpoints),
            ("delivery key", key_id(identity.delivery)),
            ("root document", identity.root or "none yet"),
        )
    )
    tell("\nNext: skerry status" if identity.root else "\nNext: skerry core doctor")
