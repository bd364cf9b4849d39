"""The one value that says no in this room: what was refused, why, and whether it smells of an attack.

Codes are stable words; ``security`` marks refusals that honest peers never cause, which become events of class
``security`` at the site.

    E-SIZE E-FORM E-KIND     the envelope itself                E-PAYLOAD        the strict parser
    E-KEY E-SIGNATURE        who signed it                      E-SITE E-TENANT  for whom it is meant
    E-STALE E-NUMBER E-FORK  where it stands on its number line E-ENDED          the app was ended by its tenant
    E-DIGEST E-UNITS E-UNIT  parts of a document                E-TOKEN E-JOIN   joining
    E-SECRET E-SEAL          secrets                            E-WITHDRAW       only its tenant may end it
"""

import msgspec


class Denied(msgspec.Struct, frozen=True):
    """A refusal; nothing that is held was touched."""

    code: str
    reason: str
    #: Honest peers do not cause this: report it as a security event.
    security: bool = False
