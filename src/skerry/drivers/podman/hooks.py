"""Commands of an app's own that the agent runs inside its instances: after a start, and before a stop.

Rules: (1) that the commands after a start have begun is written down before the first of them begins, on a disk that
ends with the boot, as the process does that they are for; (2) a command that does not end in time is killed with all
that it started; (3) nothing that a command does keeps an instance from being stopped.
"""

import asyncio
from contextlib import aclosing

import msgspec

from skerry.drivers.podman.answers import ExecMade, ExecState
from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, split_frames
from skerry.drivers.podman.hung import end_session
from skerry.model.app import Hook
from skerry.model.limits import HOOK_US_MAX
from skerry.model.observed import HooksSeen

#: Bytes of what a command printed that are kept to tell why it failed: its end.
_OUTPUT_BYTES = 2_000
_SHOWN = 200


class Hooks:
    """Such commands by way of one podman service."""

    def __init__(self, http: PodmanHttp, files: FileStage) -> None:
        self._http = http
        self._files = files

    async def run_after_start(self, container: str, name: str, hooks: tuple[Hook, ...], began_us: int) -> None:
        """Run what has to run once for the process that began at ``began_us``; what came of it is written down."""
        if self._files.read_hooks(name, began_us) is not None:
            return
        first = await self._prepare(container, hooks[0])
        self._files.note_hooks(name, began_us, HooksSeen("begun"))
        for position, hook in enumerate(hooks):
            session = first if position == 0 else await self._prepare(container, hook)
            flaw = await self._run(container, session, HOOK_US_MAX / 1_000_000)
            if flaw:
                reason = f"post_start command {position + 1} of {len(hooks)} {flaw}"
                self._files.note_hooks(name, began_us, HooksSeen("failed", reason))
                return
        self._files.note_hooks(name, began_us, HooksSeen("done"))

    async def run_before_stop(self, container: str, hooks: tuple[Hook, ...], seconds: float) -> float:
        """Run what comes before a stop within ``seconds``; return what is left of them for the stop itself."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        for hook in hooks:
            left = until - loop.time()
            if left <= 0:
                break
            try:
                await self._run(container, await self._prepare(container, hook), left)
            except PodmanRefusal:
                break  # It has ended meanwhile, or the command is not there: it is stopped all the same.
        return max(until - loop.time(), 0.0)

    async def _prepare(self, container: str, hook: Hook) -> str:
        body = {
            "AttachStdout": True,
            "AttachStderr": True,
            "Cmd": list(hook.command),
            "Env": [f"{name}={value}" for name, value in sorted(hook.environment.items())],
            "User": hook.user,
            "WorkingDir": hook.working_dir,
            "Privileged": hook.privileged,
        }
        made = await self._http.call("POST", f"/containers/{container}/exec", body)
        return msgspec.json.decode(made, type=ExecMade).id

    async def _run(self, container: str, session: str, seconds: float) -> str:
        """Run a command that was prepared; return why it failed, empty when it did not."""
        output, buffer = bytearray(), bytearray()
        try:
            async with asyncio.timeout(seconds):
                start = {"Detach": False, "Tty": False}
                async with aclosing(self._http.stream("POST", f"/exec/{session}/start", start)) as pieces:
                    async for piece in pieces:
                        buffer += piece
                        for _, data in split_frames(buffer):
                            output = (output + data)[-_OUTPUT_BYTES:]
        except TimeoutError:
            await asyncio.to_thread(end_session, session, container)
            return f"did not end within {seconds:.0f} s"
        except PodmanRefusal as error:
            return f"could not be run: {error}"
        code = (await self._http.read(ExecState, f"/exec/{session}/json")).exit_code
        shown = output.decode("utf-8", "replace").strip()[-_SHOWN:]
        return f"ended with code {code}: {shown}" if code else ""
