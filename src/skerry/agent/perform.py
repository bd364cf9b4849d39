"""From an action to the driver that does it: one table, no choice. Also the one look at all drivers together."""

from skerry.drivers.base import Driver
from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, Outcome, failed


class Performer:
    """The drivers of one node."""

    def __init__(self, drivers: tuple[Driver, ...]) -> None:
        self._drivers = drivers

    async def observe(self) -> Observation:
        """Look at every runtime and merge what they saw; one that cannot be read makes the whole ``unavailable``.

        The reason names the driver: absence in a partial picture must never look like absence in the world.
        """
        seen_all: list[Observation] = []
        reasons: list[str] = []
        for driver in self._drivers:
            try:
                seen = await driver.observe()
            except Exception as error:
                reasons.append(f"{driver.name}: {type(error).__name__}: {error}")
                continue
            seen_all.append(seen)
            if seen.unavailable:
                reasons.append(f"{driver.name}: {seen.unavailable}")
        return Observation(
            driver="node",
            containers=tuple(item for seen in seen_all for item in seen.containers),
            volumes=tuple(item for seen in seen_all for item in seen.volumes),
            networks=tuple(item for seen in seen_all for item in seen.networks),
            images=tuple(item for seen in seen_all for item in seen.images),
            blobs=tuple(item for seen in seen_all for item in seen.blobs),
            arriving={digest: count for seen in seen_all for digest, count in seen.arriving.items()},
            rules="".join(seen.rules for seen in seen_all),
            translation=next((seen.translation for seen in seen_all if seen.translation is not None), None),
            overlay=next((seen.overlay for seen in seen_all if seen.overlay is not None), None),
            bindings=next((seen.bindings for seen in seen_all if seen.bindings is not None), None),
            relay=next((seen.relay for seen in seen_all if seen.relay is not None), None),
            entrance=next((seen.entrance for seen in seen_all if seen.entrance is not None), None),
            certificates=next((seen.certificates for seen in seen_all if seen.certificates is not None), None),
            queues=next((seen.queues for seen in seen_all if seen.queues is not None), None),
            flows=next((seen.flows for seen in seen_all if seen.flows is not None), None),
            names=next((seen.names for seen in seen_all if seen.names is not None), None),
            chains=next((seen.chains for seen in seen_all if seen.chains is not None), None),
            node=next((seen.node for seen in seen_all if seen.node is not None), None),
            uid_ranges={tenant: start for seen in seen_all for tenant, start in seen.uid_ranges.items()},
            unavailable="; ".join(reasons),
        )

    async def perform(self, action: Action) -> Outcome:
        """Have ``action`` done by every driver that does its kind; the first failure ends it.

        A driver that raises broke its promise; that is reported as such and does not stop the node.
        """
        outcome: Outcome | None = None
        for driver in self._drivers:
            if type(action) not in driver.performs:
                continue
            try:
                outcome = await driver.perform(action)
            except Exception as error:
                return failed("E-DRIVER", f"driver {driver.name} broke: {type(error).__name__}: {error}")
            if not outcome.ok:
                return outcome
        if outcome is None:
            return failed("E-NO-DRIVER", f"no driver of this node does {type(action).__name__}")
        return outcome if outcome.healthy is not None or outcome.passes is not None else DONE
