"""What storms say of apps: every built word of placement, autonomy, rollout and priority is drawn by some seed."""

import collections

from skerry.clock import SeededMint
from skerry.manifest.word_types import Either, Group, Many, Type
from skerry.manifest.words import TOP
from skerry.model.ids import AppName, TenantName
from skerry.sim.apps import make_image, make_revision
from skerry.sim.coverage import list_words
from skerry.sim.storms import draw_tastes

#: Built words that leave no trace in what is signed, or only one meaning.
SILENT = {
    "placement.tiers": "placements by name are merged into services before they are signed",
    "placement.latency.of": "names the service at which the signed word stands",
    "placement.geofence.evidence": "has one built value, which is its default",
}


def find_built(kind: Type, path: str) -> set[str]:
    """Paths of the built words below a type that have no words below them."""
    if isinstance(kind, Group):
        found: set[str] = set()
        for word in kind.words:
            if word.built:
                name = f"{path}.{word.name}"
                found |= find_built(word.type, name) or {name}
        return found
    if isinstance(kind, Many):
        return find_built(kind.item, path)
    if isinstance(kind, Either):
        return set().union(*(find_built(each, path) for each in kind.types))
    return set()


def draw_words(seed: int) -> frozenset[str]:
    """The words that the first six apps of a seed say."""
    tastes = draw_tastes(SeededMint(f"storm {seed}"), 3)
    said: frozenset[str] = frozenset()
    for _ in range(6):
        words = tastes.draw()
        images = {name: make_image(name, 1)[0] for name in words.services.values()}
        said |= list_words(make_revision(TenantName("default"), AppName("shop"), 1, words, images))
    return said


def test_every_built_word_is_drawn_by_some_of_a_hundred_seeds():
    said: collections.Counter[str] = collections.Counter()
    for seed in range(1, 101):
        said.update(draw_words(seed))
    built = set().union(
        *(
            find_built(word.type, word.name)
            for word in TOP
            if word.name in ("placement", "autonomy", "rollout", "priority")
        )
    )
    assert len(built) > 60
    assert sorted(built - said.keys() - SILENT.keys()) == []
    assert sorted(SILENT.keys() & said.keys()) == []
