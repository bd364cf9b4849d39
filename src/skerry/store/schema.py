"""The core's tables. Every row that belongs to a tenant says so in ``tenant``; ``scope.py`` holds the one filter.

``migrations/`` brings a file from any older number to this; a test compares both. Signed objects and facts are opaque
bytes here. Times are microseconds since 1970 by the core's wall clock, for people only.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

METADATA = MetaData()


def plain_text(text: str) -> str:
    """Return a text as PostgreSQL can keep it: U+0000, which only a site that means harm would send, is replaced."""
    return text.replace("\0", "\ufffd")


class _PostgresText(TypeDecorator[str]):
    """Text that compares by its bytes, as it does in SQLite and in Python for all that is ASCII."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return plain_text(value) if isinstance(value, str) else value


_TEXT = String().with_variant(_PostgresText(collation="C"), "postgresql")
_WHOLE = Integer().with_variant(BigInteger(), "postgresql")


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, _TEXT, primary_key=key, nullable=False)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, _WHOLE, primary_key=key, nullable=False, autoincrement=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


#: Numbers of the whole core: ``fleet`` grows with every change of a wish.
COUNTERS = Table("counters", METADATA, _text("name", key=True), _whole("value"))

ROOTS = Table("roots", METADATA, _whole("number", key=True), _text("digest"), _bytes("envelope"))

TENANTS = Table("tenants", METADATA, _text("tenant", key=True), _bytes("deploy_keys"), _whole("created_us"))

TOKENS = Table(
    "tokens",
    METADATA,
    _text("token_id", key=True),
    _text("tenant"),
    _text("name"),
    _text("tenant_role"),
    _text("operator_role"),
    #: SHA-256 of the secret: it has 256 random bits, so nothing slower would make guessing harder.
    _bytes("secret_hash"),
    _whole("created_us"),
    #: 0 means it does not end.
    _whole("expires_us"),
    _flag("revoked"),
    #: It has been presented at least once.
    _flag("used"),
    #: Made by the core at its first start, for whoever can read its data directory.
    _flag("bootstrap"),
)

#: Signed objects by the digest of their payload: what sites ask for.
OBJECTS = Table(
    "objects",
    METADATA,
    _text("digest", key=True),
    _text("tenant"),
    _text("kind"),
    _bytes("envelope"),
    _whole("recorded_us"),
)

SITES = Table(
    "sites",
    METADATA,
    _text("site", key=True),
    _whole("enrolment"),
    _whole("number"),
    _text("digest"),
    _bytes("envelope"),
    #: A removed site keeps its row, because its number line goes on.
    _flag("removed"),
    _whole("changed_us"),
    UniqueConstraint("enrolment"),
)

#: Which tenants a site's newest record admits: what a tenant may see of sites.
SITE_TENANTS = Table("site_tenants", METADATA, _text("site", key=True), _text("tenant", key=True))

SITE_STATE = Table(
    "site_state",
    METADATA,
    _text("site", key=True),
    _whole("session_epoch"),
    _text("link_class"),
    _text("agent"),
    #: Newest document that was numbered, and the digest of its units.
    _whole("epoch"),
    _whole("generation"),
    _text("units_digest"),
    #: Digest of the units wished now; numbered when the site next asks, if it differs.
    _text("wanted_digest"),
    #: What the site said that it holds.
    _whole("held_epoch"),
    _whole("held_generation"),
    _text("refused_code"),
    _text("refused_reason"),
    #: The site holds more than this core knows (faults.md U2).
    _flag("learning"),
    #: Facts stored here are those of the present session, not of a time before a restore.
    _flag("facts_current"),
    _bytes("facts_digest"),
    _whole("event_acknowledged"),
    _whole("events_dropped"),
    #: The address from which its link comes.
    Column("seen_from", _TEXT, nullable=False, server_default=""),
)

#: Units wished for a site now.
UNITS = Table(
    "units",
    METADATA,
    _text("site", key=True),
    _text("unit", key=True),
    _text("kind"),
    _text("tenant"),
    _text("app"),
    _text("digest"),
    _bytes("body"),
    Index("units_by_app", "tenant", "app"),
)

#: Numbered documents: the newest, and older ones as bases of differences.
DOCUMENTS = Table(
    "documents",
    METADATA,
    _text("site", key=True),
    _whole("epoch", key=True),
    _whole("generation", key=True),
    _bytes("head"),
    #: Unit to digest, and the digests of signed objects that the units name; MessagePack.
    _bytes("digests"),
    _bytes("objects"),
)

APPS = Table(
    "apps",
    METADATA,
    _text("tenant", key=True),
    _text("app", key=True),
    #: Newest number whose object is here, and the newest that any site has reported (faults.md R9).
    _whole("known_number"),
    _whole("evidence_number"),
    #: 0 and empty when the app has ended.
    _whole("revision_number"),
    _text("revision_digest"),
    _text("tombstone_digest"),
    _flag("held"),
    _whole("changed_us"),
)

REVISIONS = Table(
    "revisions",
    METADATA,
    _text("tenant", key=True),
    _text("app", key=True),
    _whole("number", key=True),
    _text("kind"),
    _text("digest"),
    _text("actor"),
    _text("cause"),
    _whole("recorded_us"),
)

#: ``service`` empty counts for all services of the app.
RESTARTS = Table(
    "restarts",
    METADATA,
    _text("tenant", key=True),
    _text("app", key=True),
    _text("service", key=True),
    _whole("counter"),
)

ROLLOUTS = Table("rollouts", METADATA, _text("tenant", key=True), _text("app", key=True), _bytes("body"))
#: The newest report of each app.
REPORTS = Table("reports", METADATA, _text("tenant", key=True), _text("app", key=True), _bytes("body"))

OPERATIONS = Table(
    "operations",
    METADATA,
    _text("operation", key=True),
    _text("tenant"),
    _text("kind"),
    _text("app"),
    _whole("number"),
    #: Number of the whole core's wishes with this one: a plan that stands on less knows nothing of it.
    _whole("version"),
    _text("cause"),
    _whole("started_us"),
    Index("operations_by_tenant", "tenant", "operation"),
)

PLANS = Table(
    "plans",
    METADATA,
    _text("plan", key=True),
    _text("tenant"),
    _text("app"),
    _whole("version"),
    _whole("number"),
    _text("payload"),
    _whole("made_us"),
)

SECRETS = Table(
    "secrets",
    METADATA,
    _text("tenant", key=True),
    _text("name", key=True),
    _whole("number"),
    _text("digest"),
    _flag("removed"),
    _whole("recorded_us"),
)

#: The newest version of each area and group of users: what manifests name instead of writing it out.
DEFINITIONS = Table(
    "definitions",
    METADATA,
    _text("tenant", key=True),
    #: The signed kind: ``area`` or ``user-group``.
    _text("kind", key=True),
    _text("name", key=True),
    _whole("number"),
    _text("digest"),
    #: Its row stays, because its number line goes on.
    _flag("removed"),
    _whole("recorded_us"),
)

#: Whole blobs a tenant has uploaded; the bytes are shared by all, knowledge of them is not.
BLOBS = Table("blobs", METADATA, _text("tenant", key=True), _text("digest", key=True), _whole("size_bytes"))

IMAGES = Table(
    "images",
    METADATA,
    _text("tenant", key=True),
    _text("digest", key=True),
    _text("name"),
    _text("config"),
    _whole("size_bytes"),
    _text("architecture"),
    _whole("registered_us"),
)

IMAGE_BLOBS = Table(
    "image_blobs",
    METADATA,
    _text("tenant", key=True),
    _text("image", key=True),
    _text("blob", key=True),
    _whole("place"),
    Index("image_blobs_by_blob", "blob"),
)

#: Newest fact per resource of a site.
FACTS = Table(
    "facts",
    METADATA,
    _text("site", key=True),
    _text("key", key=True),
    #: Empty for what belongs to the site, or to a tenant that the site does not admit.
    _text("tenant"),
    _text("app"),
    _text("kind"),
    _bytes("body"),
    Index("facts_by_app", "tenant", "app"),
)

#: The log of all that happened. ``site`` is empty for the core's own; each source has its own unbroken sequence.
EVENTS = Table(
    "events",
    METADATA,
    Column("id", _WHOLE, primary_key=True, nullable=False),
    _text("site"),
    _whole("sequence"),
    _text("tenant"),
    _text("app"),
    _whole("time_us"),
    _text("type"),
    _text("klass"),
    _text("subject"),
    _text("cause"),
    _text("message"),
    _bytes("data"),
    UniqueConstraint("site", "sequence"),
    Index("events_by_tenant", "tenant", "id"),
    sqlite_autoincrement=True,
)

#: ``chain`` is a tenant's name, or empty for the operator's.
AUDIT = Table(
    "audit",
    METADATA,
    _text("chain", key=True),
    _whole("seq", key=True),
    _bytes("previous"),
    _bytes("hash"),
    _bytes("payload"),
)

JOIN_TOKENS = Table(
    "join_tokens",
    METADATA,
    _text("token_id", key=True),
    _text("site"),
    _bytes("core_key"),
    _whole("expires_us"),
    _flag("revoked"),
    #: Key id of the device that used it, and the name of its node; empty while open.
    _text("device"),
    _text("node"),
)

JOIN_REQUESTS = Table(
    "join_requests",
    METADATA,
    _text("request", key=True),
    _text("token_id"),
    _text("site"),
    _text("node"),
    #: ``wire.JoinRequest`` as MessagePack.
    _bytes("body"),
    _bytes("nonce"),
    _bytes("server_digest"),
    _text("state"),
    _text("reason"),
    _whole("asked_us"),
    Index("join_requests_by_node", "site", "node"),
)

LINK_BYTES = Table(
    "link_bytes", METADATA, _text("site", key=True), _text("purpose", key=True), _whole("sent"), _whole("received")
)

#: Sites that an operator keeps new instances away from.
CORDONS = Table(
    "cordons",
    METADATA,
    _text("site", key=True),
    #: ``cordon``: nothing new comes; ``drain``: what may move goes, too.
    _text("mode"),
    _whole("since_us"),
)

#: Nodes that an operator keeps new instances away from, as ``cordons`` does whole sites.
NODE_CORDONS = Table(
    "node_cordons",
    METADATA,
    _text("site", key=True),
    _text("node", key=True),
    _text("mode"),
    _whole("since_us"),
)

#: Images that a tenant wants at sites ahead of need: one wish an image.
SEEDS = Table(
    "seeds",
    METADATA,
    _text("tenant", key=True),
    _text("digest", key=True),
    #: Which sites, as ``model.app.Sites`` in JSON.
    _bytes("sites"),
    _whole("since_us"),
    #: When the wish ends by itself.
    _whole("ends_us"),
)

#: People who hold API tokens: a tenant's, and those of the operator, whose tenant is empty.
USERS = Table(
    "users",
    METADATA,
    _text("tenant", key=True),
    _text("name", key=True),
    #: The most that a token of theirs may do.
    _text("tenant_role"),
    _text("operator_role"),
    _whole("created_us"),
)

#: Whose a token is. A person who was removed is still named here, for who reads an audit chain later.
TOKEN_USERS = Table(
    "token_users",
    METADATA,
    _text("token_id", key=True),
    _text("tenant"),
    _text("name"),
    Index("token_users_by_name", "tenant", "name"),
)

#: Changes that were named by their senders: done once, and answered again. Short-lived.
ANSWERS = Table(
    "answers",
    METADATA,
    _text("tenant", key=True),
    #: Hash of the credential's id and the key it sent.
    _text("name", key=True),
    #: Digest of what was asked under that key.
    _text("request"),
    #: Sealed for whoever presents the credential and the key again; empty until it is known.
    _bytes("answer"),
    _whole("recorded_us"),
    Index("answers_by_time", "recorded_us"),
)
