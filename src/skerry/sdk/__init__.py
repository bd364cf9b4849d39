"""The Python client: one request builder over ``operations.py``, a plain and an asynchronous face, one error tree.

``from skerry.sdk import Client, AsyncClient, Error``: names are imported at their first use, so that a program which
needs one small file of this room (a context, the signer's socket) loads no client.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skerry.sdk.async_client import AsyncClient
    from skerry.sdk.client import Client
    from skerry.sdk.errors import Broken, Conflict, Error, Invalid, NotAllowed, NotFound, Refused, Timeout, Unavailable

__all__ = [
    "AsyncClient",
    "Broken",
    "Client",
    "Conflict",
    "Error",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "Refused",
    "Timeout",
    "Unavailable",
]

_PLACES = {"AsyncClient": "skerry.sdk.async_client", "Client": "skerry.sdk.client"}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES.get(name, "skerry.sdk.errors")), name)
