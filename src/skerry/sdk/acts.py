"""Methods for what takes several requests and a signature; the generated faces inherit them.

Each is one act of ``publishing.py``, ``sealing.py``, ``siting.py`` or ``waiting.py``, given to the client to perform.
Those rooms read manifests and check signatures, so they are imported at the first act and not by importing a client.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from skerry.model.answers import Applied, AppSummary, OperationView, SiteSummary
from skerry.model.app import Sites
from skerry.model.errors import Refused
from skerry.model.geography import Region, UserPoint
from skerry.model.ids import AppName, OperationId, SecretName, SiteName, VolumeName, is_name
from skerry.model.selector import SelectorError, parse_selector
from skerry.model.signed import DefinitionKind
from skerry.model.signing import SignSite
from skerry.sdk import waiting
from skerry.sdk.steps import AsyncNoun, AsyncSender, Noun, Person, Sender, Steps, find_tenant

if TYPE_CHECKING:
    from skerry.manifest.values import Content, Manifest
    from skerry.model.grants import Profile
    from skerry.model.site_relay import SiteRelay
    from skerry.model.uplinks import Uplink
    from skerry.sdk.publishing import Draft, Outcome
    from skerry.sdk.siting import Granting, Joining

R = TypeVar("R")

#: One file of a manifest, or it and its overlay.
Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_SECOND_US = 1_000_000


class Published(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """What was recorded of an app; ``rollout.wait()`` returns when its sites have it."""

    app: AppName
    number: int
    #: Read events after this one to see what comes of it.
    event_id: int
    #: Follow it with ``operations``; empty when all was so already.
    operation: OperationId
    #: Secrets that got a new version.
    sealed: tuple[str, ...]
    #: Areas and groups of users that got one, in words.
    defined: tuple[str, ...]
    #: Numbers that the core had lost, as one restored from a backup has, and that were handed in again first.
    handed_in: tuple[int, ...]
    #: The core's answer; None when all was so already and nothing was signed.
    applied: Applied | None
    rollout: R


class Rollout:
    """The way of a change to its sites, for plain programs."""

    def __init__(self, client: Sender, app: str, operation: str) -> None:
        self._client = client
        self._app = app
        self._operation = operation

    def wait(self, timeout: float = waiting.WAIT_S, told: waiting.Told = waiting.tell_nobody) -> None:
        """Return when every site that can be reached has it; raises ``Timeout`` or ``Refused``.

        ``told`` hears what is still missing, about once a second.
        """
        self._client.perform(_wait(self._app, self._operation, timeout, told))


class AsyncRollout:
    """The way of a change to its sites, for asynchronous programs."""

    def __init__(self, client: AsyncSender, app: str, operation: str) -> None:
        self._client = client
        self._app = app
        self._operation = operation

    async def wait(self, timeout: float = waiting.WAIT_S, told: waiting.Told = waiting.tell_nobody) -> None:  # noqa: ASYNC109 - an act has steps; each of them can be cancelled
        """Return when every site that can be reached has it; see ``Rollout.wait``."""
        await self._client.perform(_wait(self._app, self._operation, timeout, told))


class AppActs(Noun):
    """Acts on apps."""

    def draft(self, manifest: "Files | Manifest", *, variables: Mapping[str, str] | None = None) -> "Draft":
        """Return what ``apply`` would sign; nothing is signed. ``apply`` takes the draft too."""
        return self._client.perform(_draft(self._client.person, manifest, variables))

    def apply(
        self,
        manifest: "Files | Manifest | Draft",
        *,
        variables: Mapping[str, str] | None = None,
        plan: str = "",
        reseal: bool = False,
    ) -> Published[Rollout]:
        """Make it so: read, check, seal, sign and hand in. Repeating it changes nothing.

        Raises ``ManifestRefused`` with every problem of the files and its line, and ``Conflict`` when somebody else
        was faster or ``plan`` no longer stands. ``reseal`` makes new versions of secrets that are as they were.
        """
        steps = _apply(self._client.person, self._client.url, manifest, variables, plan=plan, reseal=reseal)
        return self._follow(self._client.perform(steps))

    def rollback(self, app: str, number: int = 0) -> Published[Rollout]:
        """Sign an old revision again as a higher one: ``number``, or the one before the current."""
        from skerry.sdk import publishing

        return self._follow(self._client.perform(publishing.roll_back(self._client.person, app, number)))

    def scale(self, app: str, service: str, count: int) -> Published[Rollout]:
        """Sign the newest revision again with ``count`` copies of a service: at each site, or in all, as it was."""
        from skerry.sdk import publishing

        return self._follow(self._client.perform(publishing.scale(self._client.person, app, service, count)))

    def delete(self, app: str, *, volumes: Sequence[str] = (), grace_s: int = 0) -> Published[Rollout]:
        """End an app. Its volumes stay but for those named; these are deleted ``grace_s`` after a site's yes."""
        steps = _bury(self._client.person, app, volumes, grace_s=grace_s)
        return self._follow(self._client.perform(steps))

    def delete_volumes(
        self, app: str, volumes: Sequence[str], *, sites: Sequence[str] = (), grace_s: int = 0
    ) -> Published[Rollout]:
        """Permit the deletion of volumes, at all sites or at ``sites``. There is no way back."""
        steps = _bury(self._client.person, app, volumes, ends_app=False, sites=sites, grace_s=grace_s)
        return self._follow(self._client.perform(steps))

    def wait(self, app: str, timeout: float = waiting.WAIT_S, told: waiting.Told = waiting.tell_nobody) -> AppSummary:
        """Return when all instances of an app are ready; raises ``Timeout``."""
        return self._client.perform(waiting.wait_for_app(app, timeout, told))

    def _follow(self, found: "Outcome") -> Published[Rollout]:
        return _publish(found, Rollout(self._client, found.app, found.operation))


class AsyncAppActs(AsyncNoun):
    """Acts on apps."""

    async def draft(self, manifest: "Files | Manifest", *, variables: Mapping[str, str] | None = None) -> "Draft":
        """Return what ``apply`` would sign; nothing is signed."""
        return await self._client.perform(_draft(self._client.person, manifest, variables))

    async def apply(
        self,
        manifest: "Files | Manifest | Draft",
        *,
        variables: Mapping[str, str] | None = None,
        plan: str = "",
        reseal: bool = False,
    ) -> Published[AsyncRollout]:
        """Make it so; see ``Client.apps.apply``."""
        steps = _apply(self._client.person, self._client.url, manifest, variables, plan=plan, reseal=reseal)
        return self._follow(await self._client.perform(steps))

    async def rollback(self, app: str, number: int = 0) -> Published[AsyncRollout]:
        """Sign an old revision again as a higher one: ``number``, or the one before the current."""
        from skerry.sdk import publishing

        return self._follow(await self._client.perform(publishing.roll_back(self._client.person, app, number)))

    async def scale(self, app: str, service: str, count: int) -> Published[AsyncRollout]:
        """Sign the newest revision again with ``count`` copies of a service: at each site, or in all, as it was."""
        from skerry.sdk import publishing

        return self._follow(await self._client.perform(publishing.scale(self._client.person, app, service, count)))

    async def delete(self, app: str, *, volumes: Sequence[str] = (), grace_s: int = 0) -> Published[AsyncRollout]:
        """End an app. Its volumes stay but for those named; these are deleted ``grace_s`` after a site's yes."""
        steps = _bury(self._client.person, app, volumes, grace_s=grace_s)
        return self._follow(await self._client.perform(steps))

    async def delete_volumes(
        self, app: str, volumes: Sequence[str], *, sites: Sequence[str] = (), grace_s: int = 0
    ) -> Published[AsyncRollout]:
        """Permit the deletion of volumes, at all sites or at ``sites``. There is no way back."""
        steps = _bury(self._client.person, app, volumes, ends_app=False, sites=sites, grace_s=grace_s)
        return self._follow(await self._client.perform(steps))

    async def wait(
        self,
        app: str,
        timeout: float = waiting.WAIT_S,  # noqa: ASYNC109 - an act has steps; each of them can be cancelled
        told: waiting.Told = waiting.tell_nobody,
    ) -> AppSummary:
        """Return when all instances of an app are ready; raises ``Timeout``."""
        return await self._client.perform(waiting.wait_for_app(app, timeout, told))

    def _follow(self, found: "Outcome") -> Published[AsyncRollout]:
        return _publish(found, AsyncRollout(self._client, found.app, found.operation))


class OperationActs(Noun):
    """Acts on long work."""

    def wait(
        self, operation: str, timeout: float = waiting.WAIT_S, told: waiting.Told = waiting.tell_nobody
    ) -> OperationView:
        """Return when every site that can be reached has done it; raises ``Timeout`` or ``Refused``."""
        return self._client.perform(waiting.wait_for_operation(operation, timeout, told))


class AsyncOperationActs(AsyncNoun):
    """Acts on long work."""

    async def wait(
        self,
        operation: str,
        timeout: float = waiting.WAIT_S,  # noqa: ASYNC109 - an act has steps; each of them can be cancelled
        told: waiting.Told = waiting.tell_nobody,
    ) -> OperationView:
        """Return when every site that can be reached has done it; raises ``Timeout`` or ``Refused``."""
        return await self._client.perform(waiting.wait_for_operation(operation, timeout, told))


class SecretActs(Noun):
    """Acts on secrets."""

    def set(self, secret: str, value: bytes, *, sites: Sequence[str] = (), again: bool = False) -> int:
        """Seal a value for the nodes at the tenant's sites, or at those that one of the selectors ``sites`` admits.

        Returns the number of the new version; 0 when it is so already, as far as this client remembers. ``again``
        makes a new version in any case.
        """
        return self._client.perform(_set(self._client.person, self._client.url, secret, value, sites, again=again))


class AsyncSecretActs(AsyncNoun):
    """Acts on secrets."""

    async def set(self, secret: str, value: bytes, *, sites: Sequence[str] = (), again: bool = False) -> int:
        """Seal a value for the nodes at the tenant's sites; see ``Client.secrets.set``."""
        steps = _set(self._client.person, self._client.url, secret, value, sites, again=again)
        return await self._client.perform(steps)


class AreaActs(Noun):
    """Acts on areas."""

    def set(self, area: str, region: Region) -> int:
        """Sign and record the ground of an area; returns the number of the new version, 0 when it is so already.

        Revisions that were signed with it keep the ground that they have until they are applied again.
        """
        return self._client.perform(_define(self._client.person, "area", area, region))


class AsyncAreaActs(AsyncNoun):
    """Acts on areas."""

    async def set(self, area: str, region: Region) -> int:
        """Sign and record the ground of an area; see ``Client.areas.set``."""
        return await self._client.perform(_define(self._client.person, "area", area, region))


class UserGroupActs(Noun):
    """Acts on groups of users."""

    def set(self, user_group: str, points: Sequence[UserPoint]) -> int:
        """Sign and record where the users of a group are; see ``Client.areas.set``."""
        return self._client.perform(_define(self._client.person, "user-group", user_group, tuple(points)))


class AsyncUserGroupActs(AsyncNoun):
    """Acts on groups of users."""

    async def set(self, user_group: str, points: Sequence[UserPoint]) -> int:
        """Sign and record where the users of a group are; see ``Client.areas.set``."""
        return await self._client.perform(_define(self._client.person, "user-group", user_group, tuple(points)))


class SiteActs(Noun):
    """Acts on sites."""

    def add(
        self,
        site: str,
        *,
        labels: Mapping[str, str] | None = None,
        region: str = "",
        country: str = "",
        position: tuple[float, float] | None = None,
        lifetime_s: int = 3_600,
    ) -> "Joining":
        """Make a site and a join token for its first box; ``position`` is latitude and longitude in degrees."""
        return self._client.perform(_add(site, labels, region, country, position, lifetime_s))

    def make_join_token(self, site: str, lifetime_s: int = 3_600) -> "Joining":
        """Mint another join token: for one box, once."""
        from skerry.sdk import siting

        return self._client.perform(siting.mint_token(SiteName(site), lifetime_s))

    def label(self, site: str, changes: Mapping[str, str | None]) -> bool:
        """Set labels, and remove those whose value is None; False when all is so already."""
        from skerry.sdk import siting

        return self._client.perform(siting.label_site(site, changes))

    def set_uplink(self, site: str, name: str, uplink: "Uplink") -> bool:
        """Have an uplink at a site as it is given; False when it is so already."""
        from skerry.sdk import siting

        return self._client.perform(siting.set_uplink(site, name, uplink))

    def set_relay(self, site: str, relay: "SiteRelay | None") -> bool:
        """Let a site relay for others, or not at all for None; False when all is so already."""
        from skerry.sdk import siting

        return self._client.perform(siting.set_relay(site, relay))

    def remove_uplink(self, site: str, name: str) -> None:
        """Take an uplink out of a site's record; raises ``NotFound`` for one not there."""
        from skerry.sdk import siting

        self._client.perform(siting.remove_uplink(site, name))

    def remove_node(self, site: str, node: str) -> None:
        """Take a node out of its site's record; raises ``Conflict`` for the only one."""
        from skerry.sdk import siting

        self._client.perform(siting.remove_node(site, node))

    def wait(self, site: str, timeout: float = waiting.WAIT_S, told: waiting.Told = waiting.tell_nobody) -> SiteSummary:
        """Return when a site is online and does what it was told; raises ``Timeout``."""
        return self._client.perform(waiting.wait_for_site(site, timeout, told))


class ProfileActs(Noun):
    """Acts on profiles."""

    def grant(self, name: str, profile: "Profile", sites: Sequence[str] = ()) -> "Granting":
        """Have a profile at exactly the sites that match any of the selectors, or at all without one."""
        from skerry.sdk import siting

        return self._client.perform(siting.grant_profile(name, profile, sites))

    def end(self, name: str) -> "Granting":
        """Take a profile from every site; what runs under it goes on."""
        from skerry.sdk import siting

        return self._client.perform(siting.end_profile(name))


class AsyncProfileActs(AsyncNoun):
    """Acts on profiles."""

    async def grant(self, name: str, profile: "Profile", sites: Sequence[str] = ()) -> "Granting":
        """Have a profile at exactly the sites that match any of the selectors, or at all without one."""
        from skerry.sdk import siting

        return await self._client.perform(siting.grant_profile(name, profile, sites))

    async def end(self, name: str) -> "Granting":
        """Take a profile from every site; what runs under it goes on."""
        from skerry.sdk import siting

        return await self._client.perform(siting.end_profile(name))


class AsyncSiteActs(AsyncNoun):
    """Acts on sites."""

    async def add(
        self,
        site: str,
        *,
        labels: Mapping[str, str] | None = None,
        region: str = "",
        country: str = "",
        position: tuple[float, float] | None = None,
        lifetime_s: int = 3_600,
    ) -> "Joining":
        """Make a site and a join token for its first box; ``position`` is latitude and longitude in degrees."""
        return await self._client.perform(_add(site, labels, region, country, position, lifetime_s))

    async def make_join_token(self, site: str, lifetime_s: int = 3_600) -> "Joining":
        """Mint another join token: for one box, once."""
        from skerry.sdk import siting

        return await self._client.perform(siting.mint_token(SiteName(site), lifetime_s))

    async def label(self, site: str, changes: Mapping[str, str | None]) -> bool:
        """Set labels, and remove those whose value is None; False when all is so already."""
        from skerry.sdk import siting

        return await self._client.perform(siting.label_site(site, changes))

    async def set_uplink(self, site: str, name: str, uplink: "Uplink") -> bool:
        """Have an uplink at a site as it is given; False when it is so already."""
        from skerry.sdk import siting

        return await self._client.perform(siting.set_uplink(site, name, uplink))

    async def set_relay(self, site: str, relay: "SiteRelay | None") -> bool:
        """Let a site relay for others, or not at all for None; False when all is so already."""
        from skerry.sdk import siting

        return await self._client.perform(siting.set_relay(site, relay))

    async def remove_uplink(self, site: str, name: str) -> None:
        """Take an uplink out of a site's record; raises ``NotFound`` for one not there."""
        from skerry.sdk import siting

        await self._client.perform(siting.remove_uplink(site, name))

    async def remove_node(self, site: str, node: str) -> None:
        """Take a node out of its site's record; raises ``Conflict`` for the only one."""
        from skerry.sdk import siting

        await self._client.perform(siting.remove_node(site, node))

    async def wait(
        self,
        site: str,
        timeout: float = waiting.WAIT_S,  # noqa: ASYNC109 - an act has steps; each of them can be cancelled
        told: waiting.Told = waiting.tell_nobody,
    ) -> SiteSummary:
        """Return when a site is online and does what it was told; raises ``Timeout``."""
        return await self._client.perform(waiting.wait_for_site(site, timeout, told))


def _draft(person: Person, manifest: "Files | Manifest", variables: Mapping[str, str] | None) -> "Steps[Draft]":
    from skerry.manifest.values import Manifest
    from skerry.model.profile import PROFILES
    from skerry.sdk import manifests, publishing, siting

    if not isinstance(manifest, Manifest):
        files = [manifest] if isinstance(manifest, str | os.PathLike) else manifest
        names = [os.fspath(file) for file in files]
        found = manifests.read_manifest(names, environment=person.environment, given=variables)
        if found.profile not in PROFILES:
            grants = yield from siting.find_grants(found.profile)
            found = manifests.read_manifest(
                names, environment=person.environment, given=variables, find_grants=lambda _: grants
            )
        manifest = found
    return (yield from publishing.draft(person, manifest))


def _apply(
    person: Person,
    url: str,
    manifest: "Files | Manifest | Draft",
    variables: Mapping[str, str] | None,
    *,
    plan: str,
    reseal: bool,
) -> "Steps[Outcome]":
    from skerry.sdk import publishing

    if not isinstance(manifest, publishing.Draft):
        manifest = yield from _draft(person, manifest, variables)
    return (yield from publishing.publish(person, url, manifest, plan=plan, reseal=reseal))


def _bury(
    person: Person,
    app: str,
    volumes: Sequence[str],
    *,
    ends_app: bool = True,
    sites: Sequence[str] = (),
    grace_s: int,
) -> "Steps[Outcome]":
    from skerry.sdk import publishing

    return publishing.bury(
        person,
        app,
        ends_app=ends_app,
        volumes=tuple(sorted({VolumeName(volume) for volume in volumes})),
        sites=tuple(sites),
        grace_us=grace_s * _SECOND_US,
    )


def _wait(app: str, operation: str, limit_s: float, told: waiting.Told) -> Steps[object]:
    if operation:
        return (yield from waiting.wait_for_operation(operation, limit_s, told))
    return (yield from waiting.wait_for_app(app, limit_s, told))


def _set(person: Person, url: str, secret: str, value: bytes, sites: Sequence[str], *, again: bool) -> Steps[int]:
    from skerry.sdk import sealing

    if not is_name(secret):
        raise Refused("E-NAME", f"{secret!r} is no name for a secret: use a-z, 0-9 and -, at most 63.")
    for text in sites:
        try:
            parse_selector(text)
        except SelectorError as error:
            raise Refused("E-SELECTOR", f"The selector cannot be read: {error}.", hint="tier=store is one") from error
    tenant = yield from find_tenant(person)
    wanted = (Sites(match=tuple(sites)),)
    return (yield from sealing.seal_value(person, tenant, url, SecretName(secret), value, wanted, again=again))


def _define(person: Person, kind: DefinitionKind, name: str, content: "Content") -> Steps[int]:
    from skerry.sdk import defining

    return defining.define(person, kind, name, content)


def _add(
    site: str,
    labels: Mapping[str, str] | None,
    region: str,
    country: str,
    position: tuple[float, float] | None,
    lifetime_s: int,
) -> "Steps[Joining]":
    from skerry.sdk import siting

    latitude, longitude = position or (None, None)
    wanted = SignSite(
        site=SiteName(site),
        number=1,
        labels=dict(labels or {}),
        region=region,
        country=country,
        latitude_udeg=_read_degrees(latitude),
        longitude_udeg=_read_degrees(longitude),
    )
    return siting.add_site(wanted, lifetime_s)


def _read_degrees(degrees: float | None) -> int | None:
    return None if degrees is None else round(degrees * 1_000_000)


def _publish(found: "Outcome", rollout: R) -> Published[R]:
    return Published(
        app=found.app,
        number=found.number,
        event_id=found.event_id,
        operation=found.operation,
        sealed=found.sealed,
        defined=found.defined,
        handed_in=found.handed_in,
        applied=found.applied,
        rollout=rollout,
    )
