"""Kinds of documents beside apps, with their words (manifest.md §1). Data, like ``words.py``, whose rules hold here.

A kind without words is known and not read from files; ``hint`` names what makes such a thing instead.
"""

import msgspec

from skerry.manifest.word_types import NAME, NUMBER, TEXT, Group, Many, Named, Word, unbuilt_words, whole
from skerry.manifest.words_placement import AREA_WORDS
from skerry.model.limits import USER_POINTS_MAX, USER_WEIGHT_MAX
from skerry.model.signed import DefinitionKind

API_VERSION = "skerry.dev/v1"


class KindWords(msgspec.Struct, frozen=True):
    """One kind of document."""

    about: str
    #: The signed kind that it becomes; empty for a kind that is not read from files.
    signed: DefinitionKind | None = None
    spec: tuple[Word, ...] = ()
    hint: str = ""


_USERS_AT = Group(
    (
        Word("lat", NUMBER, "degrees north", built=True),
        Word("lon", NUMBER, "degrees east", built=True),
        Word("weight", whole(1, USER_WEIGHT_MAX), "how many users are there beside the others", "1", built=True),
    )
)
_USER_GROUP = (Word("points", Many(_USERS_AT), f"where users are, 1 to {USER_POINTS_MAX} points", built=True),)

#: Every kind that the design names.
KINDS: dict[str, KindWords] = {
    "Area": KindWords("ground that geofence and residency name", "area", AREA_WORDS),
    "UserGroup": KindWords("where users are, for round trips to them", "user-group", _USER_GROUP),
    "Site": KindWords("a place where apps run", hint="skerry site add NAME: a site joins by a token"),
    "SiteClass": KindWords("what sites of a class have in common"),
    "Profile": KindWords("what an app may ask of a site"),
    "Tenant": KindWords("an owner of apps", hint="skerry tenant create NAME: its key is made by the signer"),
    "Role": KindWords("what people may do"),
    "Secret": KindWords("a sealed value", hint="skerry secret set NAME: a value never stands in a manifest"),
    "Network": KindWords("a network that outlives an app"),
    "Volume": KindWords("a volume that outlives an app"),
    "BackupTarget": KindWords("where backups go"),
    "AlertRule": KindWords("what calls for a person"),
    "Policy": KindWords("what is done unasked"),
    "Partner": KindWords("another core"),
}
METADATA = (
    Word("name", NAME, "what it is called", built=True),
    *unbuilt_words(1, labels=Named(TEXT), annotations=Named(TEXT)),
)
#: Words at the top of a document of a kind, its spec apart.
HEAD_OF_KIND = (
    Word("apiVersion", TEXT, API_VERSION, built=True),
    Word("kind", TEXT, "what it is", built=True),
    Word("metadata", Group(METADATA), "its name", built=True),
)


def words_of(kind: KindWords) -> tuple[Word, ...]:
    """Return the words at the top of a document of a kind."""
    return (*HEAD_OF_KIND, Word("spec", Group(kind.spec), kind.about, built=True))
