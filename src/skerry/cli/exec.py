"""``skerry exec``: a command in an instance, as a call that the tenant's signer signs for one nonce of the node."""

import os
import sys
import threading

import click

from skerry.cli.names import complete_services, complete_sites
from skerry.cli.options import pass_session, split_service
from skerry.cli.session import Session
from skerry.model.asks import ExecQuery
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import AppName, ServiceName, SiteName
from skerry.model.signed import Call, Envelope
from skerry.sdk.commands import INPUT_BYTES_MAX, Command, Nonce
from skerry.trust.envelope import encode_payload


@click.command()
@click.argument("where", metavar="APP/SERVICE", shell_complete=complete_services)
@click.option("--site", required=True, help="At this site.", shell_complete=complete_sites)
@click.option("--ordinal", type=click.IntRange(0), default=0, show_default=True, help="In this copy.")
@click.option("-i", "--stdin", "with_input", is_flag=True, help="Pass our standard input on.")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
@pass_session
def exec_command(session: Session, where: str, site: str, ordinal: int, with_input: bool, argv: tuple[str, ...]) -> int:
    """Run a command in an instance; its exit code is ours."""
    app, service = split_service(where)
    if not service:
        raise click.BadParameter(f"{where!r} names no service: write APP/SERVICE.")
    query = ExecQuery(service=service, site=site, ordinal=ordinal)

    def sign(told: Nonce) -> Envelope:
        if told.site != site:
            raise Invalid("E-SUBJECT", f"The core asks for a call at {told.site}, not at {site}.")
        call = Call(
            tenant=session.context.tenant,
            site=SiteName(site),
            node=told.node,
            nonce=told.nonce,
            verb="exec",
            app=AppName(app),
            service=ServiceName(service),
            ordinal=ordinal,
            argv=argv,
        )
        return session.signer.sign_call(encode_payload(call))

    try:
        with session.client.run_command(app, query, sign) as command:
            if with_input:
                # Reading blocks, and what comes back must be read meanwhile; the thread ends with the process.
                threading.Thread(target=_pass_input, args=(command,), daemon=True).start()
            else:
                command.end()
            for channel, data in command.output():
                stream = sys.stderr.buffer if channel == 2 else sys.stdout.buffer
                stream.write(data)
                stream.flush()
        return command.exit_code or 0
    except NotFound as error:
        # The core says the same of everything that is not there; we know what was asked for.
        what = f"{where}, copy {ordinal}, at site {site}"
        raise NotFound(
            error.code, f"{error.detail.removesuffix('.')}: {what}.", hint=f"skerry app show {app}"
        ) from error


def _pass_input(command: Command) -> None:
    # `read` would wait for a whole buffer; what is typed goes out as it comes.
    while data := os.read(sys.stdin.fileno(), INPUT_BYTES_MAX):
        command.write(data)
    command.end()
