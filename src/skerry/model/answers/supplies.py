"""What the API answers about what apps need: images, volumes, secrets, areas and groups of users."""

from skerry.model.answers.base import Answer, SiteState
from skerry.model.geography import Region, UserPoint
from skerry.model.ids import AppName, Digest, KeyId, SecretName, SiteName, VolumeName
from skerry.model.signed import Envelope
from skerry.model.volume import SnapshotName, VolumeDriverName


class BlobState(Answer, frozen=True, kw_only=True):
    """How much of a blob is here: go on from ``have_bytes``."""

    digest: Digest
    have_bytes: int
    complete: bool


class ImageView(Answer, frozen=True, kw_only=True):
    """A registered image."""

    digest: Digest
    name: str
    config: Digest
    #: Bytes of all layers, uncompressed: what a revision's image reference must say.
    size_bytes: int
    blobs: tuple[Digest, ...]
    architecture: str
    registered_us: int


class ImageConfigView(Answer, frozen=True, kw_only=True):
    """The configuration of an image; its digest is the image's ``config``."""

    content: bytes


class SeedView(Answer, frozen=True, kw_only=True):
    """An image that is wanted at sites ahead of need, and how far it has come; sites as they said last."""

    digest: Digest
    name: str
    size_bytes: int
    #: Which sites: those that match, of those named; empty words admit every site of the tenant.
    label_selector: str
    names: tuple[SiteName, ...]
    since_us: int
    #: When the wish ends by itself.
    ends_us: int
    #: Sites that are meant now, and those of them that hold it whole.
    sites: int
    held: int
    #: Bytes at all sites that are meant, of ``size_bytes`` at each.
    have_bytes: int


class ImageAtSite(Answer, frozen=True, kw_only=True):
    """An image at a site where the tenant has a use for it: to run from, or seeded ahead of need."""

    site: SiteName
    state: SiteState
    #: An app of the tenant runs from it there, or is to.
    used: bool
    seeded: bool
    have_bytes: int
    size_bytes: int
    held: bool
    #: Why it does not come, by the site's word.
    reason: str = ""


class ImagesPruned(Answer, frozen=True, kw_only=True):
    """Images that were removed, or would be."""

    images: tuple[ImageView, ...]
    #: Images that stay.
    kept: int
    #: Bytes of parts that only these images have, of those of this tenant.
    freed_bytes: int


class SnapshotView(Answer, frozen=True, kw_only=True):
    """What a volume held at one moment, kept on the same disk."""

    name: SnapshotName
    #: 0 where the site did not know the time.
    taken_us: int


class VolumeView(Answer, frozen=True, kw_only=True):
    """A volume at one site, as the site reports it."""

    app: AppName
    volume: VolumeName
    site: SiteName
    born: int
    size_bytes: int
    in_use: bool
    state: str
    #: How the site keeps it: ``directory`` is a plain folder, without limit and without snapshots.
    driver: VolumeDriverName = "directory"
    #: Bytes that it cannot grow beyond; 0 where nothing holds it.
    limit_bytes: int = 0
    #: The newest that the site names, oldest first, and how many there are.
    snapshots: tuple[SnapshotView, ...] = ()
    snapshots_count: int = 0
    #: Why it does not have the snapshots that it is to have.
    reason: str = ""


class SecretView(Answer, frozen=True, kw_only=True):
    """A sealed secret: everything but its value, which nobody here can open."""

    name: SecretName
    number: int
    digest: Digest
    sealed_for: tuple[KeyId, ...]
    used_by: tuple[AppName, ...]
    recorded_us: int


class AreaView(Answer, frozen=True, kw_only=True):
    """An area, as the newest version of it says."""

    name: str
    number: int
    digest: Digest
    region: Region
    recorded_us: int


class AreaDetail(Answer, frozen=True, kw_only=True):
    """An area and what its tenant signed: a client that puts it into a revision believes nothing else."""

    summary: AreaView
    signed: Envelope


class UserGroupView(Answer, frozen=True, kw_only=True):
    """Where users are, as the newest version of the group says; see ``UserPoint``."""

    name: str
    number: int
    digest: Digest
    points: tuple[UserPoint, ...]
    recorded_us: int


class UserGroupDetail(Answer, frozen=True, kw_only=True):
    """A group of users and what its tenant signed."""

    summary: UserGroupView
    signed: Envelope
