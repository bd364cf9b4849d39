"""What an app wishes to happen to its instances when a site is cut off, when room is short, and when copies go down.

Part of the signed revision, and left out of it where nothing is said. Whether a word is built, its flag in
``manifest/words.py`` says alone; one that is not built never comes here, because its manifest is refused.
"""

import re
from typing import Literal

import msgspec

#: The highest priority.
PRIORITY_MAX = 1_000
_ROTATION = re.compile(r"restart|none|signal:[A-Z][A-Z0-9+-]{1,11}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def is_rotation(text: str) -> bool:
    """Say whether a text names what a new version of a secret does."""
    return _ROTATION.fullmatch(text) is not None


def is_variable(text: str) -> bool:
    """Say whether a secret may set a variable of this name."""
    return _VARIABLE.fullmatch(text) is not None


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True):
    """Signed structs are closed; defaults are left out."""


class Autonomy(_Wish, frozen=True, kw_only=True, omit_defaults=True):
    """What holds at a site that is cut off; times in microseconds, 0 for none."""

    offline: Literal["keep-running", "stop-after", "fenced"] = "keep-running"
    #: ``stop-after``: orderly stop at this age. ``keep-running``: an alarm, nothing stops.
    max_offline_us: int = 0
    restart_offline: bool = True
    local_control: Literal["none", "restart", "full"] = "restart"
    #: When the core starts a replacement elsewhere; 0 means never.
    replace_after_us: int = 0
    on_return: Literal["keep-original", "keep-replacement", "newest", "longest-running"] = "keep-original"


class Priority(_Wish, frozen=True, kw_only=True, omit_defaults=True):
    """Who keeps room when room is short; a higher value does."""

    value: int = 500
    preempts: Literal["lower", "never"] = "lower"
    preemptible: bool = True


class Policy(_Wish, frozen=True, kw_only=True, omit_defaults=True):
    """The wishes of one service, after those of the app were merged in."""

    autonomy: Autonomy = Autonomy()
    priority: Priority = Priority()
    #: How many copies may be down at once by choice: a number, or thousandths of all; both 0 where nothing is said,
    #: which means one (plan/budget.py).
    max_down: int = 0
    max_down_permille: int = 0


class SecretPolicy(_Wish, frozen=True, kw_only=True, omit_defaults=True):
    """What a site may do with a sealed copy that it holds, and what a new version means."""

    #: How long a cut-off site may give it to instances it starts; 0 for ever.
    max_offline_us: int = 0
    #: ``restart``, ``none``, or ``signal:NAME``.
    on_rotate: str = "restart"
    #: Selectors of the sites that ever receive it; empty for those where its users run.
    sites: tuple[str, ...] = ()
    #: Variable that is set to it too; empty for none.
    env: str = ""
