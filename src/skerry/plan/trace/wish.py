"""What a packet of a trace is besides its ends: its protocol and the port that it goes to. Pure."""

import msgspec

from skerry.model.trace import TraceProtocol


class Wish(msgspec.Struct, frozen=True):
    """``port`` 0 means that none was named."""

    protocol: TraceProtocol = "tcp"
    port: int = 0

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.port}/{self.protocol}"
