"""The questions asked after every scenario (faults.md §6), from outside, without product code.

``find_problems`` gives sentences; none means that core and sites agree and nothing of ours is unaccounted for. It asks
the command line, the agents' sockets, podman and the sites' disks.
"""

from typing import Any

from tests.e2e.fleet import INSTANCE_LABEL, Fleet, list_containers


def find_problems(fleet: Fleet, app: str) -> list[str]:
    """Compare what the core says of ``app`` and of every site with what agents and podman say."""
    problems: list[str] = []
    detail = fleet.ask("app", "show", app)
    summary = detail["summary"]
    if summary["ready"] != summary["wanted"]:
        problems.append(f"{summary['ready']} of {summary['wanted']} instances of {app} are ready")
    for name in fleet.lab.sites:
        problems += _compare_site(fleet, name, detail["instances"], app)
    return problems


def _compare_site(fleet: Fleet, name: str, of_core: list[dict[str, Any]], app: str) -> list[str]:
    problems: list[str] = []
    site = fleet.ask("site", "show", name)
    status = fleet.agent_status(name)
    if site["summary"]["state"] != "online" or not site["summary"]["settled"] or not status["settled"]:
        problems.append(f"{name} is {site['summary']['state']} and not settled: {status['waits']}")
    if status["outbox"]:
        problems.append(f"{status['outbox']} events of {name} have not reached the core")
    if site["document"]["held"] != status["generation"] or site["document"]["wanted"] != status["generation"]:
        problems.append(f"{name} holds document {status['generation']}, the core says {site['document']}")
    told = {_tail(each["instance"]): each for each in of_core if each["site"] == name}
    held = {_tail(each["instance"]): each for each in status["instances"] if each["instance"].split("/")[1] == app}
    if told.keys() != held.keys():
        problems.append(f"{name} has {sorted(held)}, the core says {sorted(told)}")
    for key in told.keys() & held.keys():
        mine, core = held[key], told[key]
        differs = [word for word in ("phase", "health", "restarts") if core[word] != mine[word]]
        problems += [f"{word} of {key} at {name} is {mine[word]!r}, not {core[word]!r}" for word in differs]
    running = list_containers(fleet.lab.sites[name])
    if set(running) != {each["instance"] for each in status["instances"]}:
        problems.append(f"podman at {name} has {sorted(running)}")
    problems += [f"{key} at {name} is {each['State']}" for key, each in running.items() if each["State"] != "running"]
    every = fleet.lab.sites[name].podman.do("GET", "/containers/json", all="true") or ()
    problems += [f"{each['Names']} at {name} is nobody's" for each in every if INSTANCE_LABEL not in each["Labels"]]
    return problems


def _tail(instance: str) -> str:
    """The part of an instance's name that core and site write alike: app, service, ordinal."""
    return "/".join(instance.replace(".", "/").split("/")[-3:])
