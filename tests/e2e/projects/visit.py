"""How a project's checks reach the app at its site: published ports, and commands by ``skerry exec``."""

from collections.abc import Callable

from tests.e2e.fleet import Fleet, wait_until
from tests.e2e.lab_site import Site
from tests.e2e.site_http import http_get, http_post

#: A small busy machine that has just booted keeps a request waiting.
ANSWER_S = 20.0
#: Only ends an app that never answers.
WAIT_S_MAX = 180.0


class Visit:
    """A visitor at one site; ``kept`` is what the checks of one project remember between them."""

    def __init__(self, fleet: Fleet, site: Site, app: str) -> None:
        self.fleet = fleet
        self.site = site
        self.app = app
        self.kept: dict[str, str] = {}

    def get(self, port: int, path: str = "/") -> bytes:
        """The page at a published port; OSError unless it is a good one."""
        answer = http_get(self.site.net, port, path, timeout_s=ANSWER_S)
        if answer.status != 200:
            raise OSError(f"GET :{port}{path}: {answer.status}: {answer.body[:200]!r}")
        return answer.body

    def post(self, port: int, path: str, body: bytes, kind: str) -> bytes:
        """Send ``body`` to a published port; OSError unless the answer is a good one."""
        answer = http_post(self.site.net, port, path, body, kind, timeout_s=60)
        if answer.status not in (200, 204):
            raise OSError(f"POST :{port}{path}: {answer.status}: {answer.body[:200]!r}")
        return answer.body

    def run(self, service: str, *command: str) -> str:
        """What a command in a container of a service said; OSError if it failed."""
        return self.fleet.must("exec", f"{self.app}/{service}", "--site", self.site.name, "--", *command)

    def until(self, check: Callable[[], None], what: str, seconds: float = WAIT_S_MAX) -> None:
        """Repeat a check until it raises nothing; TimeoutError with its last problem."""

        def holds() -> bool:
            try:
                check()
            except (AssertionError, KeyError, IndexError, ValueError) as error:
                raise OSError(f"{type(error).__name__}: {error}") from error
            return True

        wait_until(holds, what, seconds)
