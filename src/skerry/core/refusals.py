"""How the core says no: the few errors that many operations share, always in the same words.

A missing object, another tenant's object and a path that does not exist read the same, so that nothing can be learned
by asking (trust.md §11).
"""

from skerry.model.errors import Conflict, Invalid, NotAllowed, NotFound, Problem, Refused
from skerry.trust.verdict import Denied


class Stale(Conflict):
    """The object has moved on; ``number`` is what ``If-Match`` must name now, 0 for ``If-None-Match: *``."""

    status = 412

    def __init__(self, number: int, detail: str) -> None:
        hint = "Read the newest version, and try again on top of it."
        super().__init__("E-STALE", detail, hint=hint)
        self.number = number


class Clash(Conflict):
    """What is asked contradicts what is: a conflict of meaning."""

    status = 409


class Missing(Refused):
    """A change of desired state must say which state it was made for."""

    status = 428


class Unbuilt(Refused):
    """Declared, and not built yet."""

    status = 501


class Unproven(NotAllowed):
    """No credential, or none that is good."""

    status = 401


def not_found() -> NotFound:
    """Say that there is nothing here for this credential."""
    return NotFound("E-NOT-FOUND", "There is no such thing, or it is not yours.")


def forbidden(permission: str) -> NotAllowed:
    """Say that the credential's role does not suffice."""
    return NotAllowed("E-ROLE", f"The token's role does not grant {permission!r}.", hint="Use a token that may.")


def unproven() -> Unproven:
    """Say that the credential is missing or not good, without saying which."""
    return Unproven("E-CREDENTIAL", "A valid API token is needed.", hint="skerry context show")


def missing_precondition() -> Missing:
    """Say that ``If-Match`` or ``If-None-Match`` is needed."""
    return Missing(
        "E-PRECONDITION", "If-Match with the number you have read is needed, or If-None-Match: * for the first one."
    )


def no_root() -> Clash:
    """Say that nothing can be verified before the core has its root document."""
    return Clash("E-NO-ROOT", "The core has no root document yet.", hint="skerry up")


def denied(verdict: Denied) -> Invalid:
    """Turn a verifier's refusal into an answer."""
    return Invalid(verdict.code, f"{verdict.reason[0].upper()}{verdict.reason[1:]}.")


def unlike(pointer: str, said: object, meant: object) -> Invalid:
    """Say that a signed payload speaks of something else than the request."""
    problem = Problem(code="E-SUBJECT", detail=f"it says {said}, the request {meant}", pointer=pointer)
    return Invalid("E-SUBJECT", "The signed payload is about something else than the request.", problems=(problem,))
