"""``skerry`` and ``python -m skerry``: the command line, and the hidden entries of the programs.

``python -m skerry core|agent|signer|keeper|ferry|relay|pool --settings FILE`` runs that program; any setting is also a
flag (``--api-port 1``) and a variable (``SKERRY_CORE_API_PORT``). Only here is ``app`` imported, so that a command
loads no more than it needs.
"""

import sys

_PROGRAMS = ("core", "agent", "signer", "keeper", "ferry", "relay", "pool")


def main() -> None:
    """Run what the arguments name and end the process with its exit code."""
    arguments = sys.argv[1:]
    if is_program(arguments):
        sys.exit(run_program(arguments[0], arguments[1:]))
    from skerry.cli.main import run

    sys.exit(run(arguments))


def is_program(arguments: list[str]) -> bool:
    """Say whether a program is meant: its name, and then options only. ``skerry core --help`` is a noun's help."""
    if len(arguments) < 2 or arguments[0] not in _PROGRAMS:
        return False
    return arguments[1].startswith("--") and arguments[1] != "--help"


def run_program(name: str, arguments: list[str]) -> int:
    """Read a program's settings and run it; return its exit code, 64 when the settings are wrong."""
    from skerry import app, settings
    from skerry.model.errors import Invalid

    prefix = f"SKERRY_{name.upper()}_"
    try:
        file, flags = settings.split_flags(arguments)
        flags |= settings.read_supervisor()
        match name:
            case "core":
                flags = settings.read_database() | flags
                return app.run_core(settings.load(app.CoreSettings, file, flags, prefix=prefix))
            case "keeper":
                order = {name: flags.pop(name) for name in ("do", "file", "to", "overwrite") if name in flags}
                flags = settings.read_database() | flags
                core = settings.load(app.CoreSettings, file, flags, prefix="SKERRY_CORE_")
                return app.run_keeper(core, settings.load(app.KeeperOrder, None, order, environment={}))
            case "agent":
                return app.run_agent(settings.load(app.AgentSettings, file, flags, prefix=prefix))
            case "ferry":
                return app.run_ferry(settings.load(app.FerrySettings, file, flags, prefix=prefix))
            case "pool":
                order = {name: flags.pop(name) for name in ("do",) if name in flags}
                agent = settings.load(app.AgentSettings, file, flags, prefix="SKERRY_AGENT_")
                return app.run_pool(agent, settings.load(app.PoolOrder, None, order, environment={}))
            case "relay":
                return app.run_relay(settings.load(app.RelaySettings, file, flags, prefix=prefix))
            case _:
                return app.run_signer(settings.load(app.SignerSettings, file, flags, prefix=prefix))
    except Invalid as error:
        sys.stderr.write(f"skerry {name}: {error.detail}\n")
        return 64
    except ModuleNotFoundError as error:
        # The bare package is the command line; each program has an extra of its own.
        extra = "core" if name in ("core", "keeper") else "agent"
        sys.stderr.write(f"skerry {name}: {error.name} is not installed: pip install 'skerry[{extra}]'\n")
        return 1


if __name__ == "__main__":
    main()
