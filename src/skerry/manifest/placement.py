"""Where instances may be and how many: ``placement`` of the app, of a tier and of a service, merged word by word.

Without a word about sites a service runs once, somewhere; with one it runs once at each site chosen. Neighbours:
``wishes.py`` has checked the form of every word, ``rules.py`` reads the words that few services need.
"""

import msgspec
from msgspec import UNSET

from skerry.manifest.nodes import Mapping, Place, Scalar
from skerry.manifest.reading import Reading
from skerry.manifest.rules import Company, Levels, read_rules
from skerry.manifest.swarm import read_swarm
from skerry.manifest.wishes import Given
from skerry.model.app import Placement, Replicas, Sites, Spread
from skerry.model.ids import is_name
from skerry.model.limits import REPLICAS_MAX
from skerry.model.observed import ROOT_QUOTA
from skerry.model.placing import PlacementRules
from skerry.model.selector import SelectorError, parse_selector

_SPREAD_WORDS = ("site", "node", "region", "country")
_PLATFORM_SYSTEM = "linux"


class _Words(msgspec.Struct, frozen=True):
    """The words of one level; None where it does not say."""

    sites: Sites | None = None
    replicas: Replicas | None = None
    node: tuple[str, ...] | None = None
    spread: tuple[Spread, ...] | None = None


def read_placement(
    reading: Reading, service: Place, app: Given, own: Given, sites: tuple[str, ...], company: Company
) -> Placement:
    """Return the placement of a service; ``sites`` are the selectors of the command line, for the whole app."""
    levels = Levels(own.get("placement"), _find_tier(reading, app, own), app.get("placement"))
    inner, tier, top = (_read_words(reading, level) for level in (levels.own, levels.tier, levels.app))
    outer = _lay_over(tier, top)
    chosen = inner.sites or tier.sites or (Sites(match=sites) if sites else top.sites)
    replicas = _choose_replicas(reading, service, own, inner.replicas, outer.replicas, chosen is not None)
    swarm = read_swarm(reading, reading.find(service, "deploy", "placement"), max(replicas.per_site, replicas.total))
    node = inner.node if inner.node is not None else outer.node or ()
    node = tuple(f"{text}, {swarm.node}" for text in node) or (swarm.node,) if swarm.node else node
    spread = inner.spread if inner.spread is not None else outer.spread
    spread = swarm.spread or None if spread is None else spread
    said = levels if not sites else Levels(levels.own, levels.tier, None)
    rules = read_rules(reading, levels, said.find(reading, "sites"), company)
    return Placement(
        sites=chosen or Sites(),
        replicas=replicas,
        node=_add_quota(reading, service, _add_platform(reading, reading.find(service, "platform"), node)),
        spread=(Spread(),) if spread is None else spread,
        rules=rules if rules != PlacementRules() else UNSET,
    )


def _find_tier(reading: Reading, app: Given, own: Given) -> Place | None:
    """Return the placement of the tier that a service chose; None when it chose none, or after a complaint."""
    place = reading.find(own.get("tier"))
    if place is None:
        return None
    tiers = reading.find(app.get("placement"), "tiers")
    known = {} if tiers is None else dict(tiers.entries())
    name = reading.text(place)
    if name not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "placement has no tiers"
        reading.findings.complain(place, "E-REFERENCE", f'there is no tier "{name[:60]}": {there}')
    return known.get(name)


def _lay_over(inner: _Words, outer: _Words) -> _Words:
    return _Words(
        sites=inner.sites or outer.sites,
        replicas=inner.replicas or outer.replicas,
        node=inner.node if inner.node is not None else outer.node,
        spread=inner.spread if inner.spread is not None else outer.spread,
    )


def _choose_replicas(
    reading: Reading, service: Place, own: Given, inner: Replicas | None, top: Replicas | None, has_sites: bool
) -> Replicas:
    count = _read_count(reading, service)
    mode = reading.find(service, "deploy", "mode")
    is_global = mode is not None and reading.text(mode) == "global"
    if is_global and count is not None:
        reading.findings.complain(mode or service, "E-CONFLICT", "a number of copies is given too", at_key=True)
    count = 1 if is_global else count
    if count is not None:
        counted = Replicas(per_site=count) if has_sites or is_global else Replicas(total=count)
        if inner is not None and inner != counted:
            place = own["placement"].find("replicas") or own["placement"]
            detail = f"the Compose text asks for {count} copies, and this for something else"
            reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
        return inner or counted
    return inner or top or (Replicas(per_site=1) if has_sites else Replicas(total=1))


def _read_count(reading: Reading, service: Place) -> int | None:
    """Return how many copies Compose itself asks for; None when it does not say."""
    scale, replicas = reading.find(service, "scale"), reading.find(service, "deploy", "replicas")
    given = [place for place in (scale, replicas) if place is not None]
    counts = [reading.whole(place, 0, REPLICAS_MAX, 1) for place in given]
    if len(set(counts)) > 1:
        reading.findings.complain(given[1], "E-CONFLICT", "scale says something else", at_key=True)
    if counts and counts[0] == 0:
        hint = "leave the service out, or give it a profile"
        reading.findings.not_yet(given[0], "a service without instances", hint=hint)
        return 1
    return counts[0] if counts else None


def _read_words(reading: Reading, place: Place | None) -> _Words:
    if place is None:
        return _Words()
    sites, replicas = reading.find(place, "sites"), reading.find(place, "replicas")
    node, spread = reading.find(place, "node"), reading.find(place, "spread")
    return _Words(
        sites=_read_sites(reading, sites) if sites is not None else None,
        replicas=_read_replicas(reading, replicas) if replicas is not None else None,
        node=tuple(reading.text(item) for item in reading.texts(node)) if node is not None else None,
        spread=tuple(_read_spread(reading, item) for item in reading.texts(spread)) if spread is not None else None,
    )


def _read_sites(reading: Reading, place: Place) -> Sites:
    if not isinstance(place.node, Mapping):
        return Sites(match=tuple(reading.text(item) for item in reading.texts(place)))

    def texts(name: str) -> tuple[str, ...]:
        return tuple(reading.text(item) for item in reading.texts(reading.find(place, name)))

    return Sites(match=texts("match"), names=texts("names"), exclude=texts("exclude"))


def _read_replicas(reading: Reading, place: Place) -> Replicas:
    per_site, total = reading.find(place, "per-site"), reading.find(place, "total")
    if per_site is not None and total is not None:
        reading.findings.complain(place, "E-CONFLICT", "per-site and total exclude each other", at_key=True)
        return Replicas(total=1)
    if per_site is None and total is None:
        reading.findings.complain(place, "E-TYPE", '"per-site" or "total" must be given here', at_key=True)
        return Replicas(total=1)
    return Replicas(
        per_site=reading.whole(per_site, 1, REPLICAS_MAX, 0), total=reading.whole(total, 1, REPLICAS_MAX, 0)
    )


def _read_spread(reading: Reading, place: Place) -> Spread:
    by = reading.find(place, "by")
    word = reading.text(by, Spread().by)
    key = word.removeprefix("label:")
    is_label = word.startswith("label:") and _is_key(key)
    if word not in _SPREAD_WORDS and not is_label and by is not None:
        detail = f'"{word[:60]}" is none of {", ".join(_SPREAD_WORDS)} or label:KEY'
        reading.findings.complain(by, "E-TYPE", detail)
    return Spread(
        by=word,
        max_skew=reading.whole(reading.find(place, "max-skew"), 1, REPLICAS_MAX, 1),
        require=reading.switch(reading.find(place, "require")),
    )


def _is_key(key: str) -> bool:
    try:
        return [term.operator for term in parse_selector(key).terms] == ["exists"]
    except SelectorError:
        return False


def _add_platform(reading: Reading, place: Place | None, node: tuple[str, ...]) -> tuple[str, ...]:
    """Make ``platform: linux/arm64`` a constraint on every alternative of the node."""
    if place is None:
        return node
    system, sign, rest = reading.text(place).partition("/")
    architecture = rest.partition("/")[0] if sign else ""
    if not architecture and system != _PLATFORM_SYSTEM:
        system, architecture = _PLATFORM_SYSTEM, system
    if system != _PLATFORM_SYSTEM:
        reading.findings.refuse(place, f'nodes run Linux, not "{system[:40]}"')
        return node
    if not architecture:
        return node
    if not is_name(architecture):
        reading.findings.complain(place, "E-TYPE", f'"{architecture[:40]}" is not an architecture: write linux/amd64')
        return node
    term = f"arch={architecture}"
    return tuple(f"{text}, {term}" for text in node) or (term,)


def _add_quota(reading: Reading, service: Place, node: tuple[str, ...]) -> tuple[str, ...]:
    """Make a limit of the root a constraint on every alternative of the node: not every storage can keep it."""
    size = reading.find(service, "storage_opt", "size")
    if size is None or not reading.size(size):
        return node
    return tuple(f"{text}, {ROOT_QUOTA}=true" for text in node) or (f"{ROOT_QUOTA}=true",)


def read_labels_of_app(reading: Reading, place: Place | None) -> dict[str, str]:
    """Return the labels of the app, which sites' selectors see."""
    found: dict[str, str] = {}
    for name, item in place.entries() if place is not None else ():
        value = reading.text(item) if isinstance(item.node, Scalar) else ""
        try:
            parse_selector(f"{name}={value}")
        except SelectorError:
            detail = f"{name}={value}"[:80] + " is not a label: letters, digits, and . _ - / inside"
            reading.findings.complain(item, "E-TYPE", detail)
        found[name] = value
    return found
