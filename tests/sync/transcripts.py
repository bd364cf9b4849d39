"""Transcripts of both ends: commands, four dashes, and the messages that flowed. ``python -m tests.sync.transcripts``
runs all and writes what they say now; the test only compares.

Commands, one a line; a block ends at ``----``:
  publish NAME=BODY …         the core's next document          event KIND [security]   the site writes an event
  object TEXT NAME=BODY …     … which names a signed object     fact KEY=VALUE | fact KEY=   a fact changes, or goes
  link | cut | silence        dial; break; the core loses the connection and the site does not know
  settle | advance SECONDS    let happen what needs no time; let time pass
  restart site | restart core     a process dies and comes back with its disk
  save | put-back             keep an image of the site's disk; put it back and restart
  forget objects | forget facts   the core lost what it had of the site
  lose document               the site lost its document and does not know yet
  refuse [CODE] | hang        the site refuses documents; it answers no call
  steps N                     let N things happen
  blob SIZE | call KIND | outbox N | class NAME
  show                        what both disks hold
"""

import copy
import pathlib

from tests.sync.world import SECOND, SITE, World, make_object

from skerry.model.ids import CallId, UnitId, digest_of
from skerry.sync import child_ports as cp
from skerry.sync import parent_ports as pp

FOLDER = pathlib.Path(__file__).parent / "testdata"
DASHES = "----"


class Script:
    """Runs one transcript."""

    def __init__(self) -> None:
        self.world = World()
        self.blobs = 0
        self.image = self.world.site

    def run(self, text: str) -> str:
        """Return the transcript with what is said now below each block of commands."""
        out: list[str] = []
        for block in text.split("\n\n"):
            commands = block.partition(DASHES)[0].strip("\n")
            out.append(commands)
            if all(line.startswith("#") for line in commands.splitlines()):
                continue
            self.world.story.clear()
            for line in commands.splitlines():
                if not line.startswith("#"):
                    self.do(*line.split())
            out[-1] += f"\n{DASHES}\n" + ("\n".join(self.world.story) or "nothing")
        return "\n\n".join(out) + "\n"

    def do(self, verb: str, *words: str) -> None:
        world = self.world
        match verb, words:
            case "publish", pairs:
                world.core.publish(read_units(pairs))
                world.nudge()
            case "object", (text, *pairs):
                world.core.publish(read_units(tuple(pairs)), (make_object(text),))
                world.nudge()
            case "event", (kind, *rest):
                world.site.write_event(kind, "security" if rest else "event")
                world.change()
            case "fact", (pair,):
                key, _, value = pair.partition("=")
                world.site.facts.pop(key, None)
                if value:
                    world.site.facts[key] = value.encode()
                world.change()
            case "link", ():
                world.link()
            case "cut", ():
                world.cut()
            case "silence", ():
                for connection in list(world.connections):
                    world.end_parent(connection)
            case "settle", ():
                world.settle()
            case "advance", (seconds,):
                world.advance(int(seconds) * SECOND)
            case "restart", ("site",):
                world.restart_child()
            case "restart", ("core",):
                world.restart_parent()
            case "save", ():
                self.image = copy.deepcopy(world.site)
            case "put-back", ():
                world.site = copy.deepcopy(self.image)
                world.restart_child()
            case "forget", ("objects",):
                world.core.objects.clear()
            case "forget", ("facts",):
                world.core.facts.clear()
            case "lose", ("document",):
                world.site.document = None
            case "hang", ():
                world.site.hangs = True
            case "steps", (count,):
                for _ in range(int(count)):
                    world.step()
            case "refuse", words:
                world.site.refuse = " ".join(words)
            case "outbox", (count,):
                world.site.outbox_max = int(count)
            case "class", (name,):
                world.site.link_class = name  # type: ignore[assignment]
            case "blob", (size,):
                self.blobs += 1
                content = bytes([self.blobs]) * int(size)
                world.blobs[digest_of(content)] = content
                world.give_child(cp.BlobWanted(digest_of(content), 0))
            case "call", (kind,):
                for connection in world.connections:
                    wanted = pp.CallWanted(CallId("c1"), kind, b"", 10 * SECOND)  # type: ignore[arg-type]
                    world.give_parent(connection, wanted)
            case "show", ():
                self.show()
            case _:
                raise ValueError(f"no such command: {verb} {' '.join(words)}")

    def show(self) -> None:
        world = self.world
        held = "no document" if world.site.document is None else f"document {world.site.document.head.generation}"
        units = {} if world.site.document is None else world.site.document.units
        body = " ".join(f"{name}={content.decode()}" for name, content in sorted(units.items()))
        waiting = [event.sequence for event in world.site.outbox]
        world.story.append(f"{SITE}: {held} {body}".rstrip() + f", outbox {waiting}, facts {sorted(world.site.facts)}")
        log = [event.sequence for event in world.core.log]
        answers = [f"{answer.generation} {'held' if answer.accepted else answer.code}" for answer in world.core.answers]
        world.story.append(
            f"core: log {log} dropped {world.core.dropped}, facts {sorted(world.core.facts)}, answers {answers}"
        )
        replies = [f"{reply.call} {'ok' if reply.ok else reply.code}" for reply in world.replies]
        if replies:
            world.story.append(f"core: replies {replies}")
        for blob, content in sorted(world.arrived.items()):
            whole = digest_of(content) == blob
            world.story.append(f"{SITE}: blob {blob[7:13]} {len(content)} bytes{' whole' if whole else ''}")


def read_units(pairs: tuple[str, ...]) -> dict[UnitId, bytes]:
    return {UnitId(name): body.encode() for name, _, body in (pair.partition("=") for pair in pairs)}


def list_transcripts() -> list[pathlib.Path]:
    return sorted(FOLDER.glob("*.txt"))


if __name__ == "__main__":
    for path in list_transcripts():
        path.write_text(Script().run(path.read_text().rstrip("\n")))
        print(path.name)
