"""The root of the command line: global options, the way to an exit code, and errors in four parts.

What, why, hint, docs: the words are those of the API's problem document (interfaces.md §1.3). Data goes to stdout, all
else to stderr.
"""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.lazy import LazyGroup
from skerry.cli.names import complete_contexts
from skerry.cli.session import Session
from skerry.cli.tree import EVERYDAY, NOUNS

if TYPE_CHECKING:
    from skerry.model.errors import Problem, SkerryError

FAILED, CHANGES, DEGRADED, TIMEOUT, NOT_FOUND, CONFLICT, NOT_ALLOWED, UNREACHABLE = range(1, 9)
USAGE, INTERRUPTED = 64, 130
#: What may be unavailable besides the core.
_NEARBY = ("E-SIGNER", "E-AGENT", "E-BERTH", "E-REGISTRY", "E-START")
#: Problems that are printed; then the count of the rest (manifest.md §4).
_PROBLEMS_SHOWN = 100


@click.pass_context
def _start(context: click.Context, /, **given: Any) -> None:
    session = context.ensure_object(Session)
    session.choose(**given)


ROOT = LazyGroup(
    "skerry",
    (*EVERYDAY, *NOUNS),
    help="A cloud for the edge: one core, many small sites that keep running while cut off.",
    epilog="skerry NOUN --help lists what can be done with a noun.",
    no_args_is_help=True,
    callback=_start,
    params=[
        click.Option(
            ["--context", "context_name"],
            help="Use this context, not the current one.",
            metavar="NAME",
            shell_complete=complete_contexts,
        ),
        click.Option(["--no-input"], is_flag=True, help="Never ask; fail instead."),
        click.Option(["--debug"], is_flag=True, help="Show the cause and the trace of an error."),
    ],
)


def run(arguments: list[str], session: Session | None = None) -> int:
    """Run one command line and return its exit code; nothing is raised but what ends a process."""
    session = session or Session()
    try:
        result = ROOT.main(arguments, prog_name="skerry", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show(sys.stderr)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain while it closes what is left.
        sys.stdout = None
        return 0
    except Exception as error:
        return _report(error, session)
    finally:
        session.close()
    return result if isinstance(result, int) else 0


def _report(error: Exception, session: Session) -> int:
    from skerry.model.errors import Broken, SkerryError

    known = error if isinstance(error, SkerryError) else Broken("E-DEFECT", f"{type(error).__name__}: {error}")
    click.echo(describe_error(known), err=True, nl=False)
    if session.debug:
        import traceback

        if known.cause:
            click.echo(f"  Cause: {known.cause}", err=True)
        traceback.print_exception(error, file=sys.stderr)
    return exit_code(known)


def exit_code(error: "SkerryError") -> int:
    """Return the exit code of an error (interfaces.md §1.3)."""
    from skerry.model.errors import Conflict, NotAllowed, NotFound, Unavailable
    from skerry.sdk.errors import Timeout

    match error:
        case Timeout():
            return TIMEOUT
        case NotFound():
            return NOT_FOUND
        case Conflict():
            return CONFLICT
        case NotAllowed():
            return NOT_ALLOWED
        case Unavailable() if error.code not in _NEARBY:
            return UNREACHABLE
        case _:
            return USAGE if error.code in ("E-NOT-YET", "E-USAGE") else FAILED


def describe_error(error: "SkerryError") -> str:
    """Write an error in its four parts: what, why, one thing to do, and where to read on."""
    from skerry.model.next_steps import next_step

    detail = error.detail.removesuffix(".")
    # What begins like a sentence goes on after "error:"; abbreviations and the names of broken promises stay.
    if detail[1:2].islower() and error.code != "E-DEFECT":
        detail = detail[:1].lower() + detail[1:]
    lines = [f"error: {detail}"]
    shown = error.problems[:_PROBLEMS_SHOWN]
    lines += [f"  {_describe_problem(problem)}" for problem in shown]
    if len(error.problems) > len(shown):
        lines.append(f"  … and {len(error.problems) - len(shown)} more")
    hint = error.hint or next_step(error.code)
    # Commands about manifests are written for compose.yaml; who gave another file is told of that one.
    if error.problems and error.problems[0].file:
        hint = hint.replace("-f compose.yaml", f"-f {shlex.quote(error.problems[0].file)}")
    lines.append(f"  Hint: {hint}")
    lines.append(f"  Docs: skerry help {error.code}")
    return "\n".join(lines) + "\n"


def _describe_problem(problem: "Problem") -> str:
    place = problem.file and f"{problem.file}:{problem.line}:{problem.column}  "
    pointer = problem.pointer and f"{problem.pointer}: "
    hint = f"\n    Hint: {problem.hint}" if problem.hint else ""
    return f"{place}{problem.code}  {pointer}{problem.detail}{hint}"
