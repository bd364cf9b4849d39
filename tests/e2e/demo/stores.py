"""Many light stores for a demo: the product's own agent and link, one process for all, containers only pretended.

``python -m tests.e2e.demo.stores`` is that process, on the core's machine; ``Stores`` is its other end. Each line of
its input is an order, each line of its output the answer. Stores join with a token, as every box does.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from tests.browser.sites import NODE, LightSite
from tests.e2e.lab import CHECKOUT, Lab

from skerry.agent.host import link_trust
from skerry.agent.join import join_site
from skerry.clock import SystemMint, Tasks
from skerry.keys.file import NodeKeys
from skerry.link.client import LinkDialer, fetch_roots
from skerry.link.ports import Endpoint, parse_endpoint
from skerry.model.signed import Envelope, Root

ANSWER_S_MAX = 60


class _Way:
    """The real link, as a box that has not joined reaches a core."""

    async def fetch_roots(self, endpoint: Endpoint) -> bytes:
        return await fetch_roots(endpoint, 0)

    def make_dialer(self, root: Envelope, payload: Root) -> LinkDialer:
        return LinkDialer(link_trust(root, payload.delivery_ca), SystemMint())


class _Store:
    """One light store: what joining gave it, and its site."""

    def __init__(self, name: str) -> None:
        self.light = LightSite(name)
        self._known: tuple[Envelope, Root, Envelope] | None = None

    async def join(self, token: str, core: str) -> None:
        tasks = Tasks()
        keys = NodeKeys(device=self.light.device, sealing_seed=self.light.sealing_seed)
        endpoints = tuple(parse_endpoint(each) for each in core.split(","))
        words = {"token_text": token, "site": self.light.name, "node": NODE, "endpoints": endpoints}
        try:
            found = await join_site(**words, keys=keys, way=_Way(), clock=self.light.clock, tasks=tasks)
        finally:
            await tasks.stop()
        self._known = (found.root, msgspec.json.decode(found.root.payload, type=Root), found.record)
        await self.light.start(*self._known)

    async def start(self) -> None:
        assert self._known is not None, "a store joins before it starts again"
        await self.light.start(*self._known)


async def _serve() -> None:
    stores: dict[str, _Store] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        name = order["store"]
        try:
            if order["do"] == "join":
                for given in order["given"]:
                    stores[given["site"]] = _Store(given["site"])
                await asyncio.gather(
                    *(stores[each["site"]].join(each["token"], each["core"]) for each in order["given"])
                )
            elif order["do"] == "stop":
                await stores[name].light.stop()
            else:
                await stores[name].start()
            told = ""
        except Exception as problem:  # the other end decides what it means
            told = f"{type(problem).__name__}: {problem}"
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    for store in stores.values():
        await store.light.stop()


class Stores:
    """The process of light stores on the core's machine of a lab, from construction to ``close``."""

    def __init__(self, lab: Lab) -> None:
        self._place = lab.core.disk / "stores.log"
        self._log = self._place.open("wb")
        self._process = subprocess.Popen(
            lab.core.argv(sys.executable, "-m", "tests.e2e.demo.stores"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # The namespaces' own root is where a process enters them.
            env={**lab.core.env, "PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,
        )

    def join(self, given: Sequence[dict[str, str]]) -> None:
        """Let stores join side by side, each with what making its site gave, and start them."""
        self._order(do="join", store=f"{len(given)} stores", given=given)

    def stop(self, name: str) -> None:
        """Switch a store off; its disk stays."""
        self._order(do="stop", store=name)

    def start(self, name: str) -> None:
        """Switch a store on again."""
        self._order(do="start", store=name)

    def _order(self, **words: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if told := json.loads(line) if line else f"it ended: {self._place.read_text(errors='replace')[-1500:]}":
            raise OSError(f"{words['do']} {words['store']}: {told}")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(ANSWER_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


if __name__ == "__main__":
    asyncio.run(_serve())
