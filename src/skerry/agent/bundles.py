"""Bundles at the box: what ``skerry agent apply-bundle`` asks of the agent.

A bundle is taken as if the link had brought it: its document is judged by the same function, and of its images those
come that the document in force asks for, by the planner's own rules on room. Nothing else is taken, nothing is removed.
"""

from typing import Literal

import msgspec

from skerry import wire
from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.local import LocalProblem
from skerry.clock import Clock
from skerry.drivers.bundles import Bundle, BundleSource
from skerry.model.errors import Invalid
from skerry.model.facts import ImageFact, decode_fact
from skerry.model.ids import Digest

ImageState = Literal["looking", "unasked", "coming", "waits", "wrong", "here"]
DocumentState = Literal["none", "taken", "held", "refused"]


class BundledImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image of the bundle, and how far it is here."""

    image: Digest
    name: str
    #: ``unasked``: nothing here is to have it. ``waits``: there is no room for it. ``here``: what needs it may start.
    state: ImageState
    size_bytes: int = 0
    have_bytes: int = 0
    reason: str = ""


class BundleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``/apply-bundle`` and ``/bundle``."""

    folder: str
    site: str
    #: ``held``: this one or a newer one is here already.
    document: DocumentState
    document_reason: str = ""
    epoch: int = 0
    generation: int = 0
    images: tuple[BundledImage, ...] = ()
    #: Nothing more comes from this bundle.
    done: bool = False


class BundleDesk:
    """Takes bundles; one at a time, the newest is the one that is asked."""

    def __init__(self, agent: Agent, source: BundleSource, clock: Clock) -> None:
        self._agent = agent
        self._source = source
        self._clock = clock
        self._passes = 0
        self._document: tuple[DocumentState, str] = ("none", "")

    async def apply(self, given: dict[str, str]) -> BundleAnswer | LocalProblem:
        """Open the folder, take its document, and have images fetched from it before the link is asked."""
        whose = self._agent.whose
        if whose is None:
            return LocalProblem("E-JOIN", "this box has not joined a site yet", "skerry agent join TOKEN")
        folder = given.get("folder", "")
        if not folder.startswith("/"):
            return LocalProblem("E-REQUEST", "folder is an absolute path", "skerry agent apply-bundle FOLDER")
        try:
            bundle = await self._source.open(folder)
            content = await self._source.read_document(whose[0])
        except Invalid as error:
            return LocalProblem(error.code, error.detail, error.hint)
        self._document = ("none", "") if content is None else await self._take_document(content)
        await self._agent.reconciler.tell(
            journal.Draft(
                time_us=self._clock.wall_us(),
                type="bundle.brought",
                klass="security",
                message=f"a bundle of {len(bundle.images)} images was brought to the box; document: "
                f"{self._document[0]} {self._document[1]}".rstrip(),
            )
        )
        # The next pass but one has seen the document, and what it begins is fetched from here.
        self._passes = self._agent.reconciler.passes + 1
        self._agent.reconciler.fetch_anew()
        return self._describe(bundle)

    async def show(self, query: dict[str, str]) -> BundleAnswer | LocalProblem:
        """Say how far the bundle is."""
        if self._source.opened is None:
            return LocalProblem("E-NOT-FOUND", "no bundle was brought since the agent began", "skerry agent status")
        return self._describe(self._source.opened)

    async def _take_document(self, content: bytes) -> tuple[DocumentState, str]:
        try:
            carried = wire.decode_carried(content)
        except wire.WireError as error:
            return "refused", f"E-DOCUMENT: it cannot be read: {error}"
        if carried.format != wire.FORMAT:
            return "refused", f"E-DOCUMENT: it is of format {carried.format}, this agent knows {wire.FORMAT}"
        await self._agent.accept_site_record(carried.site_record)
        verdict = await self._agent.accept_document(carried.patch, ())
        match verdict.state:
            case "accepted":
                return "taken", ""
            case "missing":
                return "refused", f"E-OBJECTS: {len(verdict.digests)} signed objects that it names are not with it"
            case _:
                older = verdict.code == "E-STALE"
                return ("held" if older else "refused"), f"{verdict.code}: {verdict.reason}"

    def _describe(self, bundle: Bundle) -> BundleAnswer:
        stored = None if self._agent.holdings is None else self._agent.holdings.stored
        images = tuple(self._describe_image(bundle, each.image, each.name) for each in bundle.images)
        return BundleAnswer(
            folder=bundle.folder,
            site="" if self._agent.whose is None else self._agent.whose[0],
            document=self._document[0],
            document_reason=self._document[1],
            epoch=0 if stored is None else stored.epoch,
            generation=0 if stored is None else stored.generation,
            images=images,
            done=all(each.state not in ("looking", "coming") for each in images),
        )

    def _describe_image(self, bundle: Bundle, image: Digest, name: str) -> BundledImage:
        reconciler = self._agent.reconciler
        body = reconciler.facts.get(f"image/{image}")
        fact = None if body is None else decode_fact(body)
        if reconciler.passes <= self._passes:
            return BundledImage(image=image, name=name, state="looking")
        if not isinstance(fact, ImageFact):
            return BundledImage(image=image, name=name, state="unasked")
        state: ImageState = "coming"
        waits = (wait.reason for wait in reconciler.plan.waits if wait.subject == f"image/{image}")
        reason = (fact.reason if isinstance(fact.reason, str) else "") or next(waits, "")
        if fact.complete:
            state, reason = "here", ""
        elif wrong := bundle.find_wrong(image):
            state, reason = "wrong", wrong
        elif reason:
            state = "waits"
        return BundledImage(
            image=image,
            name=name,
            state=state,
            size_bytes=fact.size_bytes,
            have_bytes=fact.have_bytes,
            reason=reason,
        )
