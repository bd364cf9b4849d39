"""Networks of the top level: those of each site, and those over all sites of the app."""

import pytest
from tests.manifest.test_load import COMPOSE, OVERLAY, load
from tests.manifest.texts import accept, refuse, wrap

from skerry.manifest.values import Manifest
from skerry.model.app import Network, NetworkWords

STRETCHED = NetworkWords(kind="overlay", scope="app")


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("{}", None),
        ("{driver: bridge}", None),
        ("{x-skerry: {kind: bridge, scope: site}}", None),
        ("{driver: overlay}", STRETCHED),
        ("{x-skerry: {kind: overlay}}", STRETCHED),
        ("{x-skerry: {kind: overlay, scope: app}}", STRETCHED),
        ("{driver: overlay, x-skerry: {kind: bridge}}", None),
    ],
)
def test_a_network_is_one_of_each_site_or_one_over_all(network: str, words: NetworkWords | None):
    found = accept(wrap("networks: [lan]", f"networks: {{lan: {network}}}")).networks["lan"]
    assert found == (Network(words=words) if words else Network())
    assert found.stretched == (words is not None)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ("{x-skerry: {kind: vlan, id: 7}}", "E-NOT-YET /networks/lan/x-skerry/kind"),
        ("{x-skerry: {kind: sriov}}", "E-NOT-YET /networks/lan/x-skerry/kind"),
        ("{driver: macvlan}", "E-NOT-YET /networks/lan/driver"),
        ("{x-skerry: {scope: app}}", "E-CONFLICT /networks/lan/x-skerry/scope"),
        ("{x-skerry: {kind: overlay, scope: site}}", "E-CONFLICT /networks/lan/x-skerry/scope"),
        ("{driver: overlay, ipam: {config: [{subnet: 10.1.0.0/16}]}}", "E-CONFLICT /networks/lan/ipam"),
        ("{x-skerry: {kind: overlays}}", "E-TYPE /networks/lan/x-skerry/kind"),
    ],
)
def test_what_does_not_fit_together_is_refused_where_it_stands(network: str, found: str):
    assert found in refuse("networks: [lan]", top=f"networks: {{lan: {network}}}")


def test_an_overlay_says_it_of_a_network_of_an_untouched_file():
    compose = COMPOSE.replace(b"services:", b"networks: {default: {}}\nservices:")
    manifest = load(("o.yaml", OVERLAY + b"networks: {default: {kind: overlay}}\n"), ("compose.yaml", compose))
    assert isinstance(manifest, Manifest), manifest
    assert manifest.networks["default"].stretched
