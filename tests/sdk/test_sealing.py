"""Whom a client seals a secret for: the sites of its users, as far as its owner lets them have it."""

from tests.manifest.texts import accept

from skerry.model.app import Sites
from skerry.sdk.sealing import find_sites

APP = """
    services:
      web:
        image: x
        secrets: [key]
        x-skerry: {{placement: {{sites: {{match: [tier=store, tier=depot], exclude: [oslo]}}}}}}
      db: {{image: x, secrets: [key], x-skerry: {{placement: {{sites: tier=store}}}}}}
      other: {{image: x}}
    secrets: {{key: {{external: true, name: till-key, x-skerry: {words}}}}}
    """


def sites_of(words):
    return find_sites(accept(APP.format(words=words)), "till-key")


def test_without_a_word_the_sites_of_its_users():
    assert sites_of("{}") == (
        Sites(match=("tier=store", "tier=depot"), exclude=("oslo",)),
        Sites(match=("tier=store",)),
    )


def test_what_the_owner_says_must_hold_besides():
    assert sites_of("{sites: [vault=yes, safe]}") == (
        Sites(
            match=("tier=store, vault=yes", "tier=store, safe", "tier=depot, vault=yes", "tier=depot, safe"),
            exclude=("oslo",),
        ),
        Sites(match=("tier=store, vault=yes", "tier=store, safe")),
    )


def test_users_anywhere_are_narrowed_too():
    text = """
        services: {web: {image: x, secrets: [till-key]}}
        secrets: {till-key: {external: true, x-skerry: {sites: vault=yes}}}
        """
    assert find_sites(accept(text), "till-key") == (Sites(match=("vault=yes",)),)
