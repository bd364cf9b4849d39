"""What the agent makes of a stick: the document by the usual rules, images that it asks for, and nothing else."""

from tests.agent.scene import Site, make_app, revise, virtually
from tests.trust import people

from skerry.agent.bundles import BundleAnswer, BundleDesk
from skerry.agent.local import LocalProblem
from skerry.drivers.bundles import BundleSource
from skerry.drivers.images import ImagesDriver
from skerry.model import bundle
from skerry.model.app import ImageRef
from skerry.model.document import Unit
from skerry.model.ids import SiteName
from skerry.model.signed import Envelope
from skerry.safe.paths import blob_place, descend
from skerry.sim.disk import MemoryDisk
from skerry.wire import FORMAT, Carried, DocumentPatch, encode_carried


class Box:
    """A site whose link says nothing, and a stick."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.stick = MemoryDisk()
        self.source = BundleSource(site.shelf.fetch, lambda folder: self.stick.root)
        self.desk = BundleDesk(site.agent, self.source, site.clock)

    async def begin(self) -> "Box":
        self.site.shelf.silent = True
        self.site.images = ImagesDriver(MemoryDisk().root, self.source)
        await self.site.restart()
        self.desk = BundleDesk(self.site.agent, self.source, self.site.clock)
        return self

    def write(self, *images: ImageRef, document: bytes | None = None) -> None:
        """Put images of the shelf on the stick, with everything else that the shelf has."""
        self.stick = MemoryDisk()
        blobs = descend(self.stick.root, *bundle.BLOBS, create=True)
        for digest, content in self.site.shelf.blobs.items():
            self._put(blobs, blob_place(digest)[2], content)
        listed = tuple((bundle.Listed(each.digest, each.name), 1) for each in images)
        self._put(self.stick.root, bundle.INDEX, bundle.write_index(listed))
        if document is not None:
            documents = descend(self.stick.root, *bundle.DOCUMENTS, create=True)
            self._put(documents, bundle.document_name(people.SITE), document)

    def _put(self, directory, name: str, content: bytes) -> None:
        sink = directory.create(name)
        sink.write(content)
        sink.close()

    async def apply(self) -> BundleAnswer:
        answer = await self.desk.apply({"folder": "/stick"})
        assert isinstance(answer, BundleAnswer), answer
        return answer

    async def show(self) -> BundleAnswer:
        answer = await self.desk.show({})
        assert isinstance(answer, BundleAnswer), answer
        return answer


def carry(units: list[Unit], *objects: Envelope, generation: int = 1, site: SiteName = people.SITE) -> bytes:
    bodies = people.pack(units)
    patch = DocumentPatch(people.make_head(bodies, generation), 0, 0, bodies, (), objects)
    record = people.sign("site", people.make_record(site=site), people.REGISTRAR)
    return encode_carried(Carried(format=FORMAT, site_record=record, patch=patch))


@virtually
async def test_a_box_without_a_link_learns_what_to_run_and_runs_it(site: Site):
    box = await Box(site).begin()
    image, other = site.shelf.add_image("web:1"), site.shelf.add_image("db:1")
    revision = revise(make_app(image, 1))
    box.write(image, other, document=carry([people.assign(revision)], revision))
    answer = await box.apply()
    assert (answer.document, answer.generation, answer.done) == ("taken", 1, False)
    assert {each.state for each in answer.images} == {"looking"}
    await site.settle()
    answer = await box.show()
    assert answer.done
    assert [(each.name, each.state) for each in answer.images if each.state == "here"] == [("web:1", "here")]
    assert [each.name for each in answer.images if each.state == "unasked"] == ["db:1"]
    assert site.shelf.given == 0, "nothing came over the link"
    held = {item.digest for item in (await site.images.observe()).blobs}
    assert other.digest not in held, "what nothing asks for is not taken"
    assert "bundle.brought" in site.events()


@virtually
async def test_a_fetch_that_hangs_on_the_dead_link_goes_on_from_the_stick(site: Site):
    box = await Box(site).begin()
    image = site.shelf.add_image("web:1")
    revision = revise(make_app(image, 1))
    await site.deliver([people.assign(revision)], revision)
    await site.wait(300)
    assert not site.agent.reconciler.plan.settled
    box.write(image)
    assert (await box.apply()).document == "none"
    await site.settle()
    assert (await box.show()).images[0].state == "here"


@virtually
async def test_a_document_that_does_not_do_is_refused_with_its_reason_and_changes_nothing(site: Site):
    box = await Box(site).begin()
    image = site.shelf.add_image("web:1")
    revision = revise(make_app(image, 1))
    units = [people.assign(revision)]
    good = carry(units, revision)
    forged = people.sign("revision", make_app(image, 1), people.REGISTRAR)
    refused = {
        b"junk": "E-DOCUMENT",
        good[:-9]: "E-DOCUMENT",
        carry(units): "E-OBJECTS",
        encode_carried(
            Carried(format=FORMAT + 1, site_record=revision, patch=DocumentPatch(revision, 0, 0))
        ): "E-DOCUMENT",
        encode_carried(Carried(format=FORMAT, site_record=revision, patch=DocumentPatch(revision, 0, 0))): "E-KIND",
    }
    for content, code in refused.items():
        box.write(image, document=content)
        answer = await box.apply()
        assert answer.document == "refused", code
        assert answer.document_reason.startswith(f"{code}: "), answer.document_reason
        assert answer.generation == 0
    box.write(image, document=carry([people.assign(forged)], forged))
    await box.apply()
    await site.wait(60)
    assert site.machine.containers == {}
    assert site.agent.holdings is not None
    assert site.agent.holdings.as_site() is not None
    box.write(image, document=carry(units, revision, generation=2))
    assert (await box.apply()).document == "taken"
    box.write(image, document=good)
    answer = await box.apply()
    assert (answer.document, answer.generation) == ("held", 2)


@virtually
async def test_a_bad_layer_is_told_with_its_place_and_the_link_goes_on(site: Site):
    box = await Box(site).begin()
    image = site.shelf.add_image("web:1")
    layer = max(site.shelf.blobs, key=lambda digest: len(site.shelf.blobs[digest]))
    good, site.shelf.blobs[layer] = site.shelf.blobs[layer], b"x" * 5000
    revision = revise(make_app(image, 1))
    box.write(image, document=carry([people.assign(revision)], revision))
    site.shelf.blobs[layer] = good
    await box.apply()
    await site.wait(60)
    answer = await box.show()
    assert answer.done
    assert answer.images[0].state == "wrong"
    assert answer.images[0].reason.endswith("it is not what its name says")
    site.shelf.silent = False
    site.agent.reconciler.fetch_anew()
    await site.settle()
    assert (await box.show()).images[0].state == "here"


@virtually
async def test_what_is_no_bundle_and_who_has_none_is_said(site: Site):
    box = await Box(site).begin()
    assert isinstance(none := await box.desk.show({}), LocalProblem)
    assert none.code == "E-NOT-FOUND"
    assert isinstance(empty := await box.desk.apply({"folder": "/stick"}), LocalProblem)
    assert (empty.code, "index.json" in empty.detail) == ("E-BUNDLE", True)
    assert isinstance(relative := await box.desk.apply({"folder": "stick"}), LocalProblem)
    assert relative.code == "E-REQUEST"
    site.agent.holdings = None
    assert isinstance(stranger := await box.desk.apply({"folder": "/stick"}), LocalProblem)
    assert stranger.code == "E-JOIN"
