"""Train the dictionary with which both ends of a link pack their frames: ``python -m tools.train_dictionary``.

It writes src/skerry/link/packing-1.zdict from samples drawn from a fixed seed, so the same sources give the same bytes.
The file belongs to the wire: agents in the field unpack with theirs. A better one gets a new number and a new first
byte (link/compress.py), and the old one stays.
"""

import pathlib
from collections.abc import Iterator

import zstandard

from skerry import wire
from skerry.clock import SeededMint
from skerry.model.app import AppRevision, HealthCheck, ImageRef, Mount, Port, Service
from skerry.model.document import Assignment, ImageHold, Unit, encode_unit, unit_id
from skerry.model.event import Event
from skerry.model.facts import Fact, ImageFact, InstanceFact, NodeFact, SiteFact, VolumeFact, encode_fact, fact_key
from skerry.model.ids import CallId, Digest, InstanceId, NodeName, SiteName
from skerry.model.signed import DocumentHead, Envelope
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey

TARGET = pathlib.Path(__file__).parent.parent / "src/skerry/link/packing-1.zdict"
#: Larger ones gain little: most of a small message is signatures and digests.
BYTES = 8 * 1024
ROUNDS = 400

_WORDS = ("web", "db", "shop", "wordpress", "broker", "flows", "api", "cache", "worker", "metrics", "front", "store")
_EVENTS = (
    "document.accepted", "document.refused", "instance.started", "instance.exited", "instance.healthy",
    "instance.unhealthy", "instance.stopped", "image.complete", "volume.created", "volume.deleted", "action.failed",
    "unit.refused", "outbox.dropped", "site.set-back", "agent.started",
)  # fmt: skip
_PHASES = ("waiting", "starting", "ready", "unhealthy", "restarting", "stopped", "done")


class Samples:
    """Draws messages as a fleet would send them."""

    def __init__(self, mint: SeededMint) -> None:
        self._mint = mint
        self._key = SigningKey.from_seed(mint.draw(32))

    def _number(self, below: int) -> int:
        return int(self._mint.uniform() * below)

    def _pick(self, words: tuple[str, ...]) -> str:
        return words[self._number(len(words))]

    def _digest(self) -> Digest:
        return Digest("sha256:" + self._mint.draw(32).hex())

    def draw(self) -> Iterator[wire.Message]:
        """Give one of each kind that is small and frequent."""
        site = SiteName(self._pick(("oslo", "store-0412", "vessel-17", "north-farm", "plant-3")))
        node = NodeName(self._pick(("n1", "one", "oslo-1", "edge-a")))
        facts_digest = self._mint.draw(32)
        last = self._number(100_000)
        claim = wire.HelloClaim(
            format=1, site=site, node=node, session_epoch=self._number(5_000), document_epoch=1,
            document_generation=self._number(900), facts_digest=facts_digest, event_last=last,
            event_acknowledged=last - self._number(30), clock_s=1_795_000_000 + self._number(90_000_000), agent="0.1.0",
            site_record=1 + self._number(5),
        )  # fmt: skip
        yield wire.Hello(wire.encode_claim(claim), self._mint.draw(64))
        patch = self._patch(site, node)
        now_s = 1_795_000_000 + self._number(90_000_000)
        yield wire.Welcome(1, last, facts_digest, 30_000_000, patch if self._number(3) else None, None, now_s)
        yield wire.DocumentOffer(self._patch(site, node))
        yield wire.DocumentAnswer(1, self._number(900), True)
        facts = [self._fact(node) for _ in range(1 + self._number(4))]
        encoded = {fact_key(fact): encode_fact(fact) for fact in facts}
        yield wire.FactsPatch(self._number(60), self._number(8) == 0, encoded, (), self._mint.draw(32))
        yield wire.Events(tuple(self._event(last + n) for n in range(1 + self._number(4))))
        if self._number(6) == 0:
            yield wire.Objects((self._revision(),))
            yield wire.CallReply(CallId("01JABCDEFGHJKMNPQRSTVWXYZ0"), True, stream=True)

    def _patch(self, site: SiteName, node: NodeName) -> wire.DocumentPatch:
        head = DocumentHead(
            site=site, epoch=1, generation=2 + self._number(900), parent=self._digest(),
            time_s=1_795_000_000 + self._number(90_000_000), units=self._digest(),
        )  # fmt: skip
        units: list[Unit] = [self._assignment(node) for _ in range(1 + self._number(4))]
        if self._number(3) == 0:
            units.append(ImageHold(self._digest(), self._digest(), self._number(200_000_000)))
        bodies = {unit_id(unit): encode_unit(unit) for unit in units}
        envelope = sign_payload("document", encode_payload(head), [self._key])
        return wire.DocumentPatch(envelope, 1, head.generation - 1, bodies)

    def _instance(self) -> tuple[str, str, str, int]:
        return "default", self._pick(_WORDS), self._pick(_WORDS), self._number(3)

    def _assignment(self, node: NodeName) -> Assignment:
        tenant, app, service, ordinal = self._instance()
        state = "hold" if self._number(12) == 0 else "run"
        return Assignment(tenant, app, service, ordinal, node, self._digest(), state, self._number(4))  # pyright: ignore[reportArgumentType]

    def _fact(self, node: NodeName) -> Fact:
        instance = InstanceId("{}/{}/{}/{}".format(*self._instance()))
        match self._number(6):
            case 0:
                return SiteFact(epoch=1, generation=self._number(900), settled=self._number(2) == 0)
            case 1:
                return NodeFact(
                    node=node, cpu_m=4000, memory_bytes=4 << 30, disk_bytes=64 << 30,
                    disk_free_bytes=self._number(64) << 30, arch="arm64", kernel="6.1.0-18-arm64", agent="0.1.0",
                )  # fmt: skip
            case 2:
                size = self._number(200_000_000)
                return ImageFact(digest=self._digest(), size_bytes=size, have_bytes=size, complete=True)
            case 3:
                return VolumeFact(volume=f"default/{self._pick(_WORDS)}/data", born=1, in_use=True)  # pyright: ignore[reportArgumentType]
            case _:
                return InstanceFact(
                    instance=instance, node=node, revision=self._digest(), number=1 + self._number(40),
                    phase=self._pick(_PHASES), health=self._pick(("none", "healthy", "starting")),  # pyright: ignore[reportArgumentType]
                    restarts=self._number(3), ports={"8080/tcp": 80} if self._number(2) else {},
                )  # fmt: skip

    def _event(self, sequence: int) -> Event:
        instance = "instance/{}/{}/{}/{}".format(*self._instance())
        return Event(
            sequence=sequence, time_us=(1_795_000_000 + self._number(90_000_000)) * 1_000_000 + self._number(1_000_000),
            type=self._pick(_EVENTS), subject=instance if self._number(4) else f"document/1/{self._number(900)}",
            tenant="default" if self._number(2) else "", message=f"generation {self._number(900)} is held",
        )  # fmt: skip

    def _revision(self) -> Envelope:
        image = ImageRef(name="mariadb:10.6", digest=self._digest(), config=self._digest(), size_bytes=300_000_000)
        service = Service(
            image=image,
            environment={"MYSQL_DATABASE": "wordpress", "TZ": "UTC"},
            mounts=(Mount(kind="volume", target="/var/lib/mysql", source="data"),),  # pyright: ignore[reportArgumentType]
            ports=(Port(target=80, published=8080),),
            healthcheck=HealthCheck(test=("CMD", "true")),
        )
        revision = AppRevision(
            tenant="default", app=self._pick(_WORDS), number=1 + self._number(40), source=self._digest(),  # pyright: ignore[reportArgumentType]
            services={self._pick(_WORDS): service},  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        return sign_payload("revision", encode_payload(revision), [self._key])


def train() -> bytes:
    """Return the dictionary."""
    samples = Samples(SeededMint("link dictionary 1"))
    frames = [wire.encode(message) for _ in range(ROUNDS) for message in samples.draw()]
    return zstandard.train_dictionary(BYTES, frames, dict_id=1_000_001, level=3, threads=0).as_bytes()


if __name__ == "__main__":
    content = train()
    TARGET.write_bytes(content)
    print(f"{TARGET.name}: {len(content)} bytes")
