"""The pages tell the truth about the sources. Each check is a function of tests/tidy/pages.py and can fail."""

import re
from collections.abc import Iterable

from tools.docs.navigation import find_lost

from skerry.cli.tree import EVERYDAY, NOUNS
from tests.tidy import pages
from tests.tidy.sources import ROOT, Source, list_pictures, list_rooms, read_checkout, read_product

#: Classes of the model that are parts of a noun and need no word of their own.
PARTS = {
    "Through": "part of a peer: where a pair finds the relay of a third site",
    "ProbePass": "part of what came of a chain's test packets: one sight of one of them",
    "Bandwidth": "part of a service: what it asks of the site's uplinks",
    "DoorLook": "part of what a node says for a trace: one place of its entrance",
    "NameLook": "part of what a node says for a trace: where a name leads",
    "DiskLimit": "Compose's word, part of a service",
    "Hook": "Compose's word, part of a service",
    "HooksSeen": "hooks as their driver saw them; the word of the glossary is `observed`",
    "QueuesSeen": "queues as their driver saw them; the word of the glossary is `observed`",
    "Address": "part of a service: what it is called by in a network",
    "Lan": "part of a network: what it is a part of at each site",
    "Apart": "part of the placement of an app",
    "Around": "part of a region: a circle",
    "Autonomy": "part of a policy: what holds while a site is cut off",
    "Config": "Compose's word, part of an app",
    "ContainerSeen": "a container as its driver saw it; the word of the glossary is `observed`",
    "Bind": "part of a service: a folder of the node",
    "BindGrant": "part of a profile: a folder of the node",
    "Device": "part of a service: a device node of the node",
    "FileMount": "Compose's word, part of a service",
    "FolderFile": "one file of a folder mount",
    "FolderMount": "part of a service: a folder of configs",
    "Further": "part of a service: what few services say",
    "Grants": "what a profile grants, in words",
    "HealthCheck": "Compose's word, part of a service",
    "HostUse": "part of a sample: the machine itself",
    "Heard": "what another site's name server said; part of what is observed",
    "InlineFile": "part of what runs: a config, written into the container",
    "InlineFolder": "part of what runs: a folder of configs, written into the container",
    "KindRow": "a line of the table of signed kinds",
    "LabelWish": "part of the placement of an app: nodes that are better",
    "Listed": "one image in the index of a bundle",
    "Latency": "part of the placement of an app: how near it has to be",
    "Mount": "Compose's word, part of a service",
    "Nearest": "part of the placement of an app: the sites near a service",
    "Observation": "all that drivers have seen at one moment; the word of the glossary is `observed`",
    "NamesSeen": "the name server as its driver saw it; the word of the glossary is `observed`",
    "OverlayFact": "how a node is reached through tunnels; the word of the glossary is `facts`",
    "DoorCounts": "what a backend of the entrance was asked, as it is observed",
    "DoorUse": "what people asked of a service over the entrance, in a sample",
    "CertificateHeld": "a certificate that a site got for itself, as it is observed",
    "CertificatesSeen": "certificates that a site gets for itself",
    "Tried": "tries of a site that brought no certificate",
    "ServerSeen": "one copy of a service as the entrance asks it",
    "OverlaySeen": "tunnels as their driver saw them; the word of the glossary is `observed`",
    "OwnKey": "an overlay key of the node itself",
    "Point": "a place on the ground",
    "Policy": "part of a service: its wishes about bad times",
    "Port": "Compose's word, part of a service",
    "Prefer": "part of the placement of an app: weights of its score",
    "Priority": "part of a policy: who keeps room when room is short",
    "PublicKey": "the public half of a key",
    "Reference": "a `${NAME}` in a manifest",
    "Need": "one thing that a service asks of a profile",
    "Probe": "part of a health check: what is asked from outside",
    "Region": "part of the placement of an app: where something may be",
    "Residency": "part of the placement of an app: where its data may be",
    "Resources": "Compose's word, part of a service",
    "Restart": "Compose's word, part of a service",
    "RoleKeys": "the keys of one role in the root",
    "Signature": "one line under an envelope",
    "Spread": "part of the placement of an app",
    "Subnet": "part of a network: a range of addresses",
    "Term": "one condition of a selector",
    "TimeWindow": "part of a rollout: when a site may begin",
    "Together": "part of the placement of an app",
    "Ulimit": "Compose's word, part of a service",
    "VariableError": "what is wrong with a `${NAME}`",
    "Where": "what a site's record says of its place",
    "Window": "part of a call: the size of a terminal",
}

#: Files of the model whose classes are shapes of the API, of the signer's socket or of OCI, or errors, and no nouns.
SHAPES = tuple(f"src/skerry/model/{name}" for name in ("answers/", "asks.py", "errors.py", "image.py", "signing.py"))


def expect_none(complaints: Iterable[str]) -> None:
    found = list(complaints)
    assert not found, "\n" + "\n".join(found)


def list_pages() -> list[Source]:
    """Every page but the generated ones, which are made from the sources."""
    found = [source for source in read_checkout() if source.path.endswith(".md")]
    return [
        page
        for page in found
        if not page.path.startswith(("docs/generated/", "docs/results/", "tests/images/", "tests/data/"))
    ]


def read_page(path: str) -> Source:
    return next(source for source in read_checkout() if source.path == path)


def test_every_file_that_a_page_names_exists():
    promised = [f"src/skerry/{room}" for room in pages.list_promised_rooms(read_page("docs/architecture.md"))]
    expect_none(pages.find_missing_files(list_pages(), [*(source.path for source in read_checkout()), *promised]))


def test_every_name_that_a_page_gives_is_declared():
    expect_none(pages.find_missing_names(list_pages(), pages.list_declared(read_product()), list_rooms()))


def test_every_test_that_a_page_names_exists():
    assert "test_podman_is_killed" in read_page("docs/guides/bad-input.md").text
    expect_none(pages.find_missing_tests(list_pages(), read_checkout()))


def test_every_word_of_dev_that_a_page_names_exists():
    words = set(re.findall(r'(?:Word|delegate)\("([a-z]+)"', (ROOT / "dev").read_text()))
    assert "demo" in words
    expect_none(pages.find_missing_words(list_pages(), words))


def list_commands() -> dict[str, set[str]]:
    """Everything that can be typed: nouns with their verbs, commands without."""
    commands = {verb.name: set[str]() for verb in EVERYDAY if verb.built}
    return commands | {noun.name: {verb.name for verb in noun.verbs if verb.built} for noun in NOUNS if noun.built}


def test_every_command_that_a_page_names_is_built():
    assert "add" in list_commands()["site"]
    expect_none(pages.find_missing_commands(list_pages(), list_commands()))


def test_every_command_that_a_hint_names_is_built():
    hints = [hint for source in read_product() for hint in pages.list_hints(source)]
    assert len(hints) > 20
    expect_none(pages.find_missing_commands(hints, list_commands()))


def test_every_room_has_its_row_on_the_map():
    expect_none(pages.find_rooms_without_row(read_page("docs/architecture.md"), list_rooms()))


def test_no_room_is_promised_that_is_there():
    expect_none(pages.find_rooms_built_by_now(read_page("docs/architecture.md"), list_rooms()))


def test_every_noun_of_the_model_is_explained():
    nouns = pages.list_nouns(s for s in read_product() if s.room == "model" and not s.path.startswith(SHAPES))
    expect_none(pages.find_unexplained(nouns, pages.list_glossary(read_page("docs/glossary.md")), PARTS))


def test_links_lead_somewhere():
    files = {source.path: source.text for source in read_checkout()} | dict.fromkeys(list_pictures(), "")
    expect_none(pages.find_dead_links(list_pages(), files))


def test_every_picture_is_small_and_shown():
    shown = "".join(page.text for page in list_pages())
    for path in list_pictures():
        assert (ROOT / path).stat().st_size <= 150_000
        assert path.rpartition("/")[2] in shown


def test_decisions_are_numbered_and_listed():
    records = [page for page in list_pages() if re.match(r"docs/decisions/\d", page.path)]
    assert len(records) >= 9
    expect_none(pages.find_unlisted_decisions(read_page("docs/decisions/README.md"), records))


def test_every_page_has_its_place_on_the_site():
    """Quicker than building it; a page without one has no way to be found."""
    found = [page.path for page in read_checkout() if page.path.startswith("docs/") and page.path.endswith(".md")]
    assert find_lost(path.removeprefix("docs/").removesuffix(".md") for path in found) == []
    assert find_lost(["glossary", "decisions/0099-later", "how-to/forgotten"]) == ["how-to/forgotten"]
