"""What owners say of networks: all sorts are drawn, half of the worlds have none, and the same seed says the same."""

import collections

from skerry.clock import SeededMint
from skerry.model.chain import list_chain_flaws
from skerry.model.entrance import find_entrance_flaw
from skerry.model.ids import AppName, TenantName
from skerry.sim.apps import make_image, make_revision
from skerry.sim.dice import Dice
from skerry.sim.tastes import Tastes
from skerry.sim.ties import SORTS, Ties


def draw(seed: int) -> Ties:
    return Ties(Dice(SeededMint(f"ties {seed}")))


def test_all_sorts_are_drawn_and_many_worlds_have_none():
    drawn = [draw(seed) for seed in range(200)]
    counts = collections.Counter(sort for each in drawn for sort in each.sorts)
    assert counts.keys() == SORTS.keys()
    assert min(counts.values()) >= 10
    assert 80 <= sum(not each.sorts for each in drawn) <= 160
    assert any(each.with_names for each in drawn)
    assert any(each.is_quiet for each in drawn)
    assert draw(7).sorts == draw(7).sorts


def test_what_is_said_is_sound():
    chains = 0
    for seed in range(100):
        ties, tastes = draw(seed), Tastes(Dice(SeededMint(f"tastes {seed}")), ["site-1"])
        words = ties.add(tastes.draw())
        images = {name: make_image(name, 100)[0] for name in words.services.values()}
        revision = make_revision(TenantName("default"), AppName("shop"), 1, words, images)
        networks = {name: each.internal for name, each in revision.networks.items()}
        services = {name: each.networks for name, each in revision.services.items()}
        chains += bool(revision.chains)
        assert not list(list_chain_flaws(revision.chains or (), services, networks))
        assert not any(find_entrance_flaw(each.entrance or ()) for each in revision.services.values())
    assert chains > 3
