"""What owners said of snapshots in the simulation, and what sites said yes to, for whoever checks on it."""

from skerry.model.ids import SiteName, VolumeId
from skerry.model.signed import VolumeVerb


class Keepsakes:
    """What holds of what was said."""

    def __init__(self) -> None:
        #: Calls that were made, whatever came of them: site, volume, verb, snapshot.
        self.said: set[tuple[SiteName, VolumeId, VolumeVerb, str]] = set()
        #: Snapshots to which a site said yes, with the number that the volume was born with.
        self.kept: dict[tuple[SiteName, VolumeId, str], int] = {}

    def forget(self, site: SiteName) -> None:
        """Its disk is an old one: what was kept since is gone with it."""
        self.kept = {key: born for key, born in self.kept.items() if key[0] != site}
