"""What one run of the command line shares: settings, the context, and connections that are opened at first use.

Nothing here imports a client before it is needed, so that help and completion stay quick.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.sdk.client import Client
    from skerry.sdk.contexts import Context
    from skerry.sdk.signing import SignerClient
    from skerry.settings import ClientSettings, Places


class Session:
    """Holds what commands need; tests hand in an environment and ways to connect."""

    def __init__(
        self,
        environment: dict[str, str] | None = None,
        open_client: "Callable[[Context], Client] | None" = None,
    ) -> None:
        self._environment = environment
        self._open_client = open_client
        self._context_name = ""
        self._context: Context | None = None
        self._client: Client | None = None
        self._signer: SignerClient | None = None
        self.no_input = False
        self.debug = False

    def choose(self, *, context_name: str | None, no_input: bool, debug: bool) -> None:
        """Take the global options."""
        self._context_name = context_name or ""
        self.no_input = no_input
        self.debug = debug

    @property
    def environment(self) -> dict[str, str]:
        """The person's variables."""
        if self._environment is None:
            from skerry import settings

            self._environment = settings.read_environment()
        return self._environment

    @property
    def settings(self) -> "ClientSettings":
        """What the surroundings say."""
        from skerry import settings

        return settings.read_client(self.environment)

    @property
    def places(self) -> "Places":
        """Where files are."""
        from skerry import settings

        return settings.find_places(self.environment)

    @property
    def context(self) -> "Context":
        """Which core, as whom: flags, then ``SKERRY_URL``, then ``SKERRY_CONTEXT``, then the current context."""
        if self._context is None:
            from skerry.sdk.surroundings import find_context

            self._context = find_context(self._context_name, self.environment)
        return self._context

    @property
    def client(self) -> "Client":
        """The core."""
        if self._client is None:
            from skerry.sdk import policy
            from skerry.sdk.client import Client

            policy.keep_quiet()
            context = self.context
            if self._open_client is not None:
                self._client = self._open_client(context)
            else:
                self._client = Client.from_context(context, environment=self.environment)
        return self._client

    @property
    def signer(self) -> "SignerClient":
        """The process with the keys of this context; raises ``Refused`` where there is none.

        A fresh connection each time, because a signer lets idle ones go and a person may think before they agree.
        """
        from skerry.model.errors import Refused
        from skerry.sdk.signing import SignerClient

        path = self.context.signer
        if not path:
            raise Refused("E-SIGNER", "This context names no signer.", hint="skerry context set NAME --signer PATH")
        if self._signer is not None:
            self._signer.close()
        self._signer = SignerClient(Path(path))
        return self._signer

    def close(self) -> None:
        """Close what was opened."""
        for opened in (self._client, self._signer):
            if opened is not None:
                opened.close()
        self._client = self._signer = None
