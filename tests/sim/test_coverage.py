"""Words that a signed revision says, by their paths in a manifest."""

from skerry.clock import SECOND_US
from skerry.model.app import Placement, Probe, Replicas
from skerry.model.geography import Region
from skerry.model.ids import AppName, TenantName
from skerry.model.placing import Latency, PlacementRules, Together
from skerry.model.policy import Autonomy, Priority
from skerry.sim.apps import AppWords, make_image, make_revision
from skerry.sim.coverage import list_words


def words_of(words: AppWords) -> frozenset[str]:
    images = {name: make_image(name, 1)[0] for name in words.services.values()}
    return list_words(make_revision(TenantName("default"), AppName("shop"), 1, words, images))


def test_what_stands_at_its_default_was_not_said():
    assert words_of(AppWords(services={"web": "nginx"})) == {
        "placement",
        "placement.replicas",
        "placement.replicas.per-site",
    }


def test_words_have_their_paths_and_choices_what_was_chosen():
    rules = PlacementRules(
        geofence=(Region(countries=("NO",)),),
        together=(Together(by="node", services=("db",)),),
        latency=(Latency(to="service", name="db", weight=2),),
    )
    said = words_of(
        AppWords(
            services={"web": "nginx"},
            placements={"web": Placement(replicas=Replicas(total=2), rules=rules)},
            autonomy=Autonomy(replace_after_us=SECOND_US, on_return="keep-replacement"),
            priority=Priority(preempts="never"),
            probe=Probe(port=80),
        )
    )
    assert {
        "placement.geofence.countries",
        "placement.same-node",
        "placement.latency.to.service",
        "placement.latency.weight",
        "autonomy.replace-after",
        "autonomy.on-return=keep-replacement",
        "priority.preempts=never",
        "health.tcp",
    } <= said
    assert "autonomy.local-control" not in said
