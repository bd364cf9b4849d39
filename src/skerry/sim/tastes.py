"""What the owners of a world like to say of their apps: a few themes of the manifest, each with its words at random.

Swarm testing of words as of faults: a seed has few themes, and says much of them. All is drawn from a stream of its
own and depends on nothing that happens, so which words a seed says is known without running it (``coverage.py``).
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import UNSET

from skerry.clock import SECOND_US
from skerry.model.app import Placement, Probe, Replicas, Sites, Spread
from skerry.model.geography import UserPoint
from skerry.model.placing import (
    Apart,
    LabelWish,
    Latency,
    Nearest,
    PlacementRules,
    Prefer,
    Residency,
    Together,
)
from skerry.model.policy import Autonomy, Priority, SecretPolicy
from skerry.model.rollout import Gate, InSite, Rollout, Share, TimeWindow
from skerry.sim.apps import AppWords
from skerry.sim.dice import Dice
from skerry.sim.grounds import GROUNDS, PLACES

#: The share of worlds whose owners say nothing unusual.
PLAIN_SHARE = 0.2
#: How often an owner heeds a theme of his world when he speaks.
SAY_SHARE = 0.7
#: What ``on-return`` is drawn from.
ON_RETURN = ("keep-original", "keep-replacement", "newest", "longest-running")
#: How revisions come to sites where an app has a rollout: short enough for what the calm leaves of time.
ROLLOUT = Rollout(
    canary=Share(sites=1),
    bake_us=20 * SECOND_US,
    waves=(Share(permille=500), Share(permille=1000)),
    gate=Gate(healthy_us=20 * SECOND_US, timeout_us=120 * SECOND_US),
)
#: A group of users as it was when somebody signed.
_PEOPLE: tuple[UserPoint, ...] = tuple(
    (place.point.longitude_udeg, place.point.latitude_udeg, weight)
    for weight, place in enumerate(PLACES.values(), start=1)
    if place.point is not None
)


class Tastes:
    """Draws what owners say; ``sites`` are the names of the world's sites."""

    def __init__(self, dice: Dice, sites: Sequence[str]) -> None:
        self.dice = dice
        self.sites = tuple(sites)
        names = sorted(THEMES)
        plain = dice.chance(PLAIN_SHARE)
        self.themes = tuple(sorted({dice.pick(names) for _ in range(0 if plain else 1 + dice.below(4))}))

    def draw(self) -> AppWords:
        """Draw what an owner says of an app this time."""
        words = self._draw_usual()
        for theme in self.themes:
            if self.dice.chance(SAY_SHARE):
                words = THEMES[theme](self, words)
        return words

    def draw_lot(self) -> tuple[str, dict[str, str]]:
        """Draw what the registrar signs of a site: the name of its place, and labels that mean something."""
        dice = self.dice
        labels = {
            "price": dice.pick(("0.005", "0.02", "")),
            "jurisdiction": dice.pick(("NO", "DE", "")),
            "timezone": dice.pick(("Europe/Oslo", "")),
        }
        return dice.pick(sorted(PLACES)), {name: value for name, value in labels.items() if value}

    def _draw_usual(self) -> AppWords:
        dice = self.dice
        names = ("web", "db")[: 1 + dice.below(2)]
        match = dice.pick(((), (), ("side=east",), ("tier=store",)))
        total = dice.pick((0, 0, 0, 2))
        rollout = dice.pick((None, None, ROLLOUT)) if not total else None
        return AppWords(
            services={name: f"image-{dice.below(6)}" for name in names},
            match=match,
            total=total,
            per_site=1 + dice.below(2),
            volume=not total and dice.chance(0.7),
            health=dice.chance(0.3),
            ill=rollout is not None and dice.chance(0.3),
            rollout=rollout,
            command=("serve", str(dice.below(3))),
        )

    def say_room(self, words: AppWords) -> AppWords:
        """Ask for much of a node's memory, with a priority."""
        dice = self.dice
        priority = Priority(
            value=50 * (1 + dice.below(19)),
            preempts=dice.pick(("lower", "lower", "never")),
            preemptible=dice.chance(0.8),
        )
        # A node has room for two or three copies, and two of one service may be missing: so one often takes another's.
        memory = (2 + dice.below(2)) << 30
        return msgspec.structs.replace(words, priority=priority, memory_bytes=memory, max_down=dice.below(3))

    def say_endings(self, words: AppWords) -> AppWords:
        """Let nobody else end what runs, and few copies be down at once."""
        dice = self.dice
        return msgspec.structs.replace(words, withdraw=dice.pick(("core", "tenant")), max_down=dice.below(3))

    def say_silence(self, words: AppWords) -> AppWords:
        """Bear two copies while a site is silent."""
        autonomy = msgspec.structs.replace(
            words.autonomy or Autonomy(),
            replace_after_us=self.dice.pick((60, 180, 400)) * SECOND_US,
            on_return=self.dice.pick(ON_RETURN),
        )
        return self._count(msgspec.structs.replace(words, autonomy=autonomy))

    def say_hands(self, words: AppWords) -> AppWords:
        """Let people at boxes do nothing, little or all."""
        grant = self.dice.pick(("none", "restart", "full", "full"))
        autonomy = msgspec.structs.replace(words.autonomy or Autonomy(), local_control=grant)
        return msgspec.structs.replace(words, autonomy=autonomy)

    def say_alone(self, words: AppWords) -> AppWords:
        """Wish something of sites that are cut off."""
        dice = self.dice
        autonomy = msgspec.structs.replace(
            words.autonomy or Autonomy(),
            offline=dice.pick(("keep-running", "stop-after")),
            max_offline_us=(120 + dice.below(180)) * SECOND_US,
            restart_offline=dice.chance(0.6),
        )
        return msgspec.structs.replace(words, autonomy=autonomy)

    def say_ground(self, words: AppWords) -> AppWords:
        """Forbid ground to instances or to their data."""
        dice = self.dice
        fence, data = (GROUNDS[dice.pick(sorted(GROUNDS))].region for _ in range(2))
        kind = dice.below(3)
        if kind != 1:
            words = self._rule(words, geofence=(fence,))
        if kind == 0:
            return words
        residency = Residency(
            region=data,
            jurisdictions=dice.pick(((), ("NO",), ("NO", "DE"))),
            covers=dice.pick(((), ("volumes",), ("volumes", "logs"), ("logs",))),
        )
        return self._rule(words, residency=(residency,))

    def say_company(self, words: AppWords) -> AppWords:
        """Keep services together or apart, or spread them."""
        dice = self.dice
        words = self._pair(words)
        kind = dice.below(3)
        if kind == 0:
            by = dice.pick(("site", "node"))
            for name, other in (("web", "db"), ("db", "web")):
                words = self._rule_of(words, name, together=(Together(by=by, services=(other,)),))
        elif kind == 1:
            words = self._count(words)
            by = dice.pick(("node", "site", "region"))
            words = self._rule_of(words, "web", apart=(Apart(by=by, services=dice.pick((("web",), ("db",)))),))
        else:
            spread = Spread(
                by=dice.pick(("site", "node", "country", "label:side")),
                max_skew=1 + dice.below(2),
                require=dice.chance(0.5),
            )
            words = self._place(self._count(words), spread=(spread,))
        return words

    def say_distance(self, words: AppWords) -> AppWords:
        """Be near something, or cheap, or at few sites."""
        dice = self.dice
        words = self._count(self._pair(words))
        kind = dice.below(4)
        if kind == 0:
            nearest = Nearest(service="web", max_rtt_us=dice.pick((0, 12_000)))
            return self._rule_of(words, "db", nearest=nearest)
        if kind == 1:
            return self._rule(words, max_price_micro=dice.pick((10_000, 30_000)), sites_max=dice.below(3))
        choices = (
            Latency(to="core", measured=dice.chance(0.5)),
            Latency(to="place", point=PLACES["bergen"].point),
            Latency(to="site", name=dice.pick(self.sites)),
            Latency(to="service", name="web", every=dice.chance(0.5)),
            Latency(to="users", name="people", points=_PEOPLE, number=1, quantile_permille=dice.pick((500, 950))),
        )
        wishes = [dice.pick(choices) for _ in range(1 + dice.below(2))]
        bounds = {"weight": 1 + dice.below(5), "max_rtt_us": dice.pick((0, 15_000, 60_000))}
        return self._rule_of(words, "db", latency=tuple(msgspec.structs.replace(each, **bounds) for each in wishes))

    def say_leaning(self, words: AppWords) -> AppWords:
        """Prefer some places to others, name or exclude sites and nodes, or fail without a place."""
        dice = self.dice
        prefer = Prefer(
            cost=dice.below(4),
            latency=dice.below(4),
            spread=dice.below(4),
            moves=dice.below(4),
            labels=(LabelWish(match=dice.pick(("side=east", "arch=amd64")), weight=2 + dice.below(5)),),
            fill=dice.pick(("pack", "level")),
        )
        sites = dice.pick((Sites(), Sites(names=self.sites[:1]), Sites(exclude=self.sites[:1])))
        words = self._place(words, sites=sites, node=dice.pick(((), ("arch=amd64",))))
        return self._rule(words, prefer=prefer, if_none=dice.pick(("wait", "wait", "fail")))

    def say_secrets(self, words: AppWords) -> AppWords:
        """Give every service a secret."""
        dice = self.dice
        policy = SecretPolicy(
            max_offline_us=dice.pick((0, 60, 300)) * SECOND_US,
            on_rotate=dice.pick(("restart", "none", "signal:HUP")),
            sites=dice.pick(((), ("tier=store",))),
            env=dice.pick(("", "", "KEY")),
        )
        return msgspec.structs.replace(words, secrets=("key",), secret_policy=policy)

    def say_waves(self, words: AppWords) -> AppWords:
        """Bring revisions to sites in steps, within windows, and to copies in turn."""
        dice = self.dice
        repeats = dice.chance(0.3)
        rollout = Rollout(
            canary=Share(sites=1 + dice.below(2)),
            canary_sites=dice.pick(((), ("side=west",))),
            bake_us=dice.pick((0, 20)) * SECOND_US,
            waves=(Share(sites=1),) if repeats else dice.pick((ROLLOUT.waves, (Share(permille=1000),))),
            repeats=repeats,
            max_failed=dice.pick((Share(permille=20), Share(sites=1), Share(permille=500))),
            on_failure=dice.pick(("rollback", "pause", "continue")),
            gate=Gate(healthy_us=dice.pick((0, 20)) * SECOND_US, timeout_us=(60 + dice.below(60)) * SECOND_US),
            approve=dice.pick(("none", "none", "canary", "each-wave")),
            offline_sites=dice.pick(("skip", "skip", "wait")),
            prefetch=dice.chance(0.5),
            windows=dice.pick((UNSET, UNSET, _draw_windows(dice))),
            in_site=dice.pick(
                (UNSET, InSite(order=dice.pick(("stop-first", "start-first")), parallel=1 + dice.below(2)))
            ),
        )
        words = msgspec.structs.replace(words, total=0, rollout=rollout, per_site=1 + dice.below(3))
        return msgspec.structs.replace(words, ill=dice.chance(0.2), placements={}, volume=dice.chance(0.3))

    def say_probes(self, words: AppWords) -> AppWords:
        """Ask services at a port or for a page, which most of them have."""
        good = (Probe(port=8080), Probe(port=8080, path="/"))
        bad = (Probe(port=81), Probe(port=8080, path="/none"))
        ill = words.rollout is not None and self.dice.chance(0.3)
        return msgspec.structs.replace(words, probe=self.dice.pick(bad if ill else good), ill=ill)

    # --- how it is said ----------------------------------------------------------------------------------------------

    def _count(self, words: AppWords) -> AppWords:
        """Count copies in all, which have no volume and no waves of their own."""
        total = words.total or 1 + self.dice.below(3)
        words = msgspec.structs.replace(words, total=total, volume=False, rollout=None, ill=False)
        return self._place(words, replicas=Replicas(total=total)) if words.placements else words

    def _pair(self, words: AppWords) -> AppWords:
        """Have both services."""
        services = {name: words.services.get(name, f"image-{self.dice.below(6)}") for name in ("db", "web")}
        return msgspec.structs.replace(words, services=services)

    def _place(self, words: AppWords, **fields: object) -> AppWords:
        for name in words.services:
            words = self._place_of(words, name, **fields)
        return words

    def _place_of(self, words: AppWords, name: str, **fields: object) -> AppWords:
        usual = Placement(
            sites=Sites(match=words.match),
            replicas=Replicas(total=words.total) if words.total else Replicas(per_site=words.per_site),
        )
        changed = msgspec.structs.replace(words.placements.get(name, usual), **fields)
        return msgspec.structs.replace(words, placements={**words.placements, name: changed})

    def _rule(self, words: AppWords, **fields: object) -> AppWords:
        for name in words.services:
            words = self._rule_of(words, name, **fields)
        return words

    def _rule_of(self, words: AppWords, name: str, **fields: object) -> AppWords:
        placement = words.placements.get(name)
        before = PlacementRules() if placement is None else placement.rules or PlacementRules()
        return self._place_of(words, name, rules=msgspec.structs.replace(before, **fields))


def _draw_windows(dice: Dice) -> tuple[TimeWindow, ...]:
    """Some minutes out of every hour, so that a storm meets both sides of a window; in one of two zones."""
    zone = dice.pick(("utc", "utc", "site-local"))
    first = dice.below(30)
    return tuple(TimeWindow(60 * hour + first, 60 * hour + first + 25, zone=zone) for hour in range(24))


THEMES: Mapping[str, Callable[[Tastes, AppWords], AppWords]] = {
    "alone": Tastes.say_alone,
    "company": Tastes.say_company,
    "distance": Tastes.say_distance,
    "endings": Tastes.say_endings,
    "ground": Tastes.say_ground,
    "hands": Tastes.say_hands,
    "leaning": Tastes.say_leaning,
    "probes": Tastes.say_probes,
    "room": Tastes.say_room,
    "secrets": Tastes.say_secrets,
    "silence": Tastes.say_silence,
    "waves": Tastes.say_waves,
}
