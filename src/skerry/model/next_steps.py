"""The command to run next, for each error code: what an error says that has nothing nearer to say.

An error that knows better carries a hint of its own; the page of each code (``skerry help CODE``) says more. Every code
of the product stands here, and every command is one that exists: tests/model/test_next_steps.py looks.
"""

_STEPS: dict[str, str] = {
    # Which core, as whom, and whether it answers.
    "skerry context list": "E-CONTEXT E-ADDRESS E-PLAINTEXT E-CREDENTIAL E-NO-CORE",
    "skerry context show": "E-UNREACHABLE E-HTTP E-ORIGIN E-ROLE E-TENANT",
    "skerry version": "E-ANSWER E-NOT-YET E-HEADER E-OPERATION E-UNKNOWN-MESSAGE E-KIND",
    "skerry status": (
        "E-BUSY E-NOT-FOUND E-SLOW E-NO-ROOT E-TIMEOUT E-ANSWER-LOST E-KEY-BUSY E-KEY-REUSED E-CANCELLED"
    ),
    "skerry --help": (
        "E-USAGE E-TOPIC E-INPUT E-CONFIRM E-FILE E-NAME E-TOO-MANY E-PAGE E-QUERY E-BODY E-FIELD E-MALFORMED "
        "E-SIZE E-TOO-LARGE E-OVERWRITE"
    ),
    # The core's own machine.
    "skerry core doctor": (
        "E-BROKEN E-DEFECT E-DATABASE E-DELIVERY E-BACKUP E-COPY E-HALF-RESTORED E-MIGRATION "
        "E-POSTGRES-DRIVER E-POSTGRES-SETTING E-READ-WRITES E-SCHEMA E-SCHEMA-BACK E-SCHEMA-NEWER E-SETTINGS "
        "E-SQLITE-PRAGMA E-SQLITE-VERSION E-START E-STORE-AWAY E-STORE-CLOSED E-STORE-FAILED "
        "E-STORE-LOCKED E-TRANSACTION E-RECORD E-KEY-DAMAGED"
    ),
    "skerry key list": "E-PASSPHRASE",
    "skerry up": "E-SIGNER E-ASK E-PODMAN E-BERTH",
    # Manifests and what they need.
    "skerry validate -f compose.yaml": (
        "E-CONFLICT E-FIELD-REFUSED E-INTERPOLATION E-LIMIT E-MANIFEST E-RANGE E-REFERENCE E-TYPE "
        "E-UNKNOWN-WORD E-YAML E-FORM E-PAYLOAD E-SELECTOR"
    ),
    "skerry plan -f compose.yaml": (
        "E-PLAN E-PRECONDITION E-STALE E-REVISION E-REPLICAS E-SPREAD E-PLACEMENT E-SUPERSEDED E-NUMBER "
        "E-SUBJECT E-FORK E-SIGNATURE E-KEY"
    ),
    "skerry image list": "E-BUNDLE E-IMAGE E-BLOB E-PLATFORM E-REGISTRY E-DIGEST E-OFFSET E-UPLOADING E-ARCHIVE",
    "skerry secret list": "E-SECRET E-SEAL",
    "skerry app list": "E-ENDED E-WITHDRAW E-EXISTS E-IN-USE E-CALL E-CUT E-PORT-CLOSED E-PORT-IN-USE",
    "skerry volume list": "E-VOLUME E-SNAPSHOT E-STORAGE",
    "skerry audit verify": "E-AUDIT",
    "skerry tenant list": "E-TOKEN",
    "skerry token list": "E-STREAMS",
    "skerry events": "E-READER-SLOW",
    # Sites as the core sees them.
    "skerry site list": (
        "E-SITE E-SITE-AWAY E-DEADLINE E-LINK E-SILENT E-SETTLED E-NOT-CORDONED E-NOT-LEARNING E-REPLACED "
        "E-SESSION-OLD E-UPLINK"
    ),
    # A box, by its own agent.
    "skerry profile list": "E-PROFILE",
    "skerry agent doctor": (
        "E-BIND E-CERTIFICATE E-POOL E-DEVICE E-DISK E-DISK-FULL E-ENTRANCE E-RELAY "
        "E-ADDRESS-IN-USE E-DRIVER E-NO-DRIVER E-NETWORK E-QUEUES E-RUNTIME E-JOURNAL E-PROOF E-JOINED E-LOCAL-CONTROL"
    ),
    "skerry agent status": (
        "E-CONNECT E-LINK-CLOSED E-LINK-PACKING E-STALLED E-PROTOCOL E-JOIN E-JOIN-PENDING E-REQUEST E-AGENT"
    ),
    "skerry agent logs": "E-POISON E-ASSIGNMENT E-DOCUMENT-TOO-LARGE E-EVENTS E-OBJECTS E-UNIT E-UNITS",
}

NEXT_STEPS: dict[str, str] = {code: command for command, codes in _STEPS.items() for code in codes.split()}


def next_step(code: str) -> str:
    """Return the command to run next; for a code of a later release, the one that always helps."""
    return NEXT_STEPS.get(code, "skerry status")
