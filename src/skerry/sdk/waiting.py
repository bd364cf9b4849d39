"""Waiting until sites have done what was wished, as steps. Silent sites hold nothing up: they follow later."""

from collections.abc import Callable
from typing import TypeVar

from skerry.clock import SECOND_US, SystemClock
from skerry.model.answers import AppDetail, AppSummary, OperationView, SiteDetail, SiteSummary
from skerry.model.errors import Refused
from skerry.sdk.errors import Timeout
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Pause, Steps, send

T = TypeVar("T")

#: Between two looks: a site's change reaches the core within 5 s, so a second more matters to nobody.
LOOK_S = 1.0
#: How long a wait is unless somebody says otherwise.
WAIT_S = 600.0

Told = Callable[[str], None]


def tell_nobody(said: str) -> None:
    """Keep progress to oneself."""


def wait_until(
    look: Callable[[], Steps[tuple[T, str]]], what: str, limit_s: float, told: Told, hint: Callable[[T], str]
) -> Steps[T]:
    """Look again and again until nothing is missing.

    Raises ``Timeout`` with what was missing last; ``hint`` makes of what was found the command that says why.
    """
    clock = SystemClock()
    end_us = clock.boot_us() + int(limit_s * SECOND_US)
    while True:
        found, missing = yield from look()
        if not missing:
            return found
        told(missing)
        if clock.boot_us() >= end_us:
            raise Timeout("E-TIMEOUT", f"{what} is not so after {limit_s:g} s: {missing}.", hint=hint(found))
        yield Pause(LOOK_S)


def wait_for_operation(operation: str, limit_s: float = WAIT_S, told: Told = tell_nobody) -> Steps[OperationView]:
    """Wait until sites have done long work.

    Raises ``Timeout``, and ``Refused`` when instances have no place or something newer took over.
    """

    def look() -> Steps[tuple[OperationView, str]]:
        request: Request[OperationView] = make_request("show_operation", parameters={"operation": operation})
        view = yield from send(request)
        # Those without a place never get ready by waiting; everybody else is waited for first.
        stuck = view.refused and view.ready + view.silent >= view.wanted
        if view.state != "running" or stuck:
            return view, ""
        return view, f"{view.kind} {view.app}: {view.ready} of {view.wanted} ready"

    view = yield from wait_until(look, f"operation {operation}", limit_s, told, lambda view: hint_for("app", view.app))
    if view.state == "superseded":
        raise Refused("E-SUPERSEDED", f"Something newer took over from {view.kind} {view.app} {view.number}.")
    if view.refused:
        detail = f"{view.refused} of {view.wanted} instances of {view.app} have no place or are refused."
        raise Refused("E-PLACEMENT", detail, hint=f"skerry why {view.app}")
    return view


def wait_for_app(app: str, limit_s: float = WAIT_S, told: Told = tell_nobody) -> Steps[AppSummary]:
    """Wait until all instances of an app are ready."""

    def look() -> Steps[tuple[AppSummary, str]]:
        request: Request[AppDetail] = make_request("show_app", parameters={"app": app})
        summary = (yield from send(request)).summary
        return summary, describe_unready_app(summary)

    return (yield from wait_until(look, f"app {app}", limit_s, told, lambda _: hint_for("app", app)))


def wait_for_site(site: str, limit_s: float = WAIT_S, told: Told = tell_nobody) -> Steps[SiteSummary]:
    """Wait until a site is online and does what it was told."""

    def look() -> Steps[tuple[SiteSummary, str]]:
        request: Request[SiteDetail] = make_request("show_site", parameters={"site": site})
        summary = (yield from send(request)).summary
        return summary, describe_unready_site(summary)

    return (yield from wait_until(look, f"site {site}", limit_s, told, lambda _: hint_for("site", site)))


def hint_for(noun: str, name: str) -> str:
    """Return the command that says why an app or a site is not as wanted; of anything else nothing is known."""
    return {"app": f"skerry why {name}", "site": f"skerry site show {name}"}.get(noun, "")


def describe_unready_app(found: AppSummary) -> str:
    """Say what an app lacks; empty when all of it is ready."""
    if found.state in ("ended", "lost"):
        return f"app {found.app} is {found.state}"
    if found.refused:
        return f"app {found.app}: {found.ready} of {found.wanted} ready, {found.refused} without a place"
    if found.wanted and found.ready >= found.wanted:
        return ""
    return f"app {found.app}: {found.ready} of {found.wanted} ready"


def describe_unready_site(found: SiteSummary) -> str:
    """Say what a site lacks; empty when it is online and settled."""
    if found.state == "online" and found.settled:
        return ""
    return f"site {found.site} is {found.state}{'' if found.settled else ', not settled'}"
