"""What a program finds around it: the context in use, and on whose behalf it may sign.

The one file of the room that asks ``settings``, because ``Client.from_context()`` has nobody who hands values in.
"""

from collections.abc import Mapping

from skerry import settings
from skerry.model.ids import TenantName
from skerry.sdk import contexts
from skerry.sdk.contexts import Context
from skerry.sdk.steps import Person


def find_context(name: str = "", environment: Mapping[str, str] | None = None) -> Context:
    """Return a context: the one called ``name``, else ``SKERRY_URL``, else ``SKERRY_CONTEXT``, else the current one."""
    given = settings.read_client(environment)
    if given.url and not name:
        return Context(
            url=given.url, token=given.token, tenant=TenantName(given.tenant or "default"), signer=given.signer
        )
    return contexts.read_context(settings.find_places(environment).config, name or given.context)


def find_person(context: Context, environment: Mapping[str, str] | None = None) -> Person:
    """Return on whose behalf a client of this context signs."""
    return Person(
        tenant=context.tenant,
        signer=context.signer,
        state=settings.find_places(environment).state / "client",
        environment=settings.read_environment() if environment is None else environment,
    )
