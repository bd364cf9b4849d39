"""Something that happened, kept in order: written at a site into its outbox, or at the core into its own log."""

from typing import Literal

import msgspec

from skerry.model.ids import CauseId

#: Outbox classes: ``security`` is never dropped; ``event`` is dropped oldest first beyond its limit, counted.
EventClass = Literal["security", "event"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a site; ``sequence`` grows by one per event of the site and is never reused."""

    sequence: int
    #: The site's wall clock in microseconds since 1970: a hint, order comes from the sequence.
    time_us: int
    #: Dotted kind, for example ``instance.started``, ``document.applied``, ``outbox.dropped``.
    type: str
    klass: EventClass = "event"
    #: What it is about, for example ``instance/default/shop/db/0``.
    subject: str = ""
    #: Tenant that may read it; empty means operators only.
    tenant: str = ""
    cause: CauseId = CauseId("")
    #: One sentence for people.
    message: str = ""
    data: dict[str, str] = {}
