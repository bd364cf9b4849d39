"""Areas and groups of users on the client, as steps: what a manifest names is looked up, verified and put in.

A core could bring other ground than its tenant has signed, so everything is held against the tenant's own key before
any of it is signed again as part of a revision. What stands in the files themselves is signed and recorded first.
"""

from collections.abc import Iterable

import msgspec

from skerry.manifest.definitions import NOUNS, Known, list_signed, read_content
from skerry.manifest.values import Content
from skerry.model.answers import AreaDetail, Recorded, UserGroupDetail
from skerry.model.app import AppRevision
from skerry.model.errors import Conflict, Invalid, NotFound, Refused
from skerry.model.geography import Region
from skerry.model.ids import TenantName, is_name
from skerry.model.signed import Area, Definition, DefinitionKind, UserGroup
from skerry.model.signing import LineState, ReadLine, ReadStatus, SignArea, SignerStatus, SignUserGroup
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Person, Steps, ask_signer, find_tenant, send, sign
from skerry.sdk.verifying import read_definition
from skerry.trust.envelope import encode_payload

Name = tuple[DefinitionKind, str]


class Fresh(msgspec.Struct, frozen=True):
    """A version that is to be signed and recorded on top of ``expect``, the number that stands; 0 for none."""

    kind: DefinitionKind
    payload: Definition
    expect: int

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"{NOUNS[self.kind][0]} {self.payload.name}"


class Found(msgspec.Struct, frozen=True):
    """What a manifest names, and which of it is new."""

    known: dict[Name, Known] = {}
    fresh: tuple[Fresh, ...] = ()


def find_definitions(
    tenant: TenantName,
    wanted: Iterable[Name],
    brought: Iterable[tuple[Name, Content]],
    current: AppRevision | None = None,
) -> Steps[Found]:
    """Look up what is wanted; what is brought counts before what the core has. What is not there is left out.

    Raises ``Invalid`` for what the tenant has not signed, or what is older than in the revision ``current``.
    """
    known: dict[Name, Known] = {}
    fresh: list[Fresh] = []
    for name, content in brought:
        present = yield from _read_present(tenant, name)
        if present is not None and present.content == content:
            known[name] = present
            continue
        expect = 0 if present is None else present.number
        number = max(expect, (yield from _read_line(tenant, name))) + 1
        known[name] = Known(number, content)
        fresh.append(Fresh(name[0], _make(tenant, name, number, content), expect))
    for name in wanted:
        found = None if name in known else (yield from _read_present(tenant, name))
        if found is not None:
            known[name] = found
    for name, signed in list_signed(current).items() if current is not None else ():
        if name in known and known[name].number < signed.number and current is not None:
            what = f"{NOUNS[name[0]][0]} {name[1]}"
            brings = f"The core brings version {known[name].number} of {what}"
            detail = f"{brings}, revision {current.number} was signed with {signed.number}."
            raise Invalid("E-STALE", detail, hint="Has the core been restored? Apply the file that defines it again.")
    return Found(known, tuple(fresh))


def record_definitions(fresh: Iterable[Fresh]) -> Steps[tuple[str, ...]]:
    """Sign and hand in new versions; return in words what was recorded. Raises ``Conflict`` where one has moved."""
    done: list[str] = []
    for each in fresh:
        payload = encode_payload(each.payload)
        ask = SignArea(payload=payload) if each.kind == "area" else SignUserGroup(payload=payload)
        envelope = yield from sign(ask)
        operation, parameter = ("put_area", "area") if each.kind == "area" else ("put_user_group", "user_group")
        request: Request[Recorded] = make_request(
            operation, parameters={parameter: each.payload.name}, body=envelope, expect=each.expect
        )
        try:
            yield from send(request)
        except Conflict as error:
            told = f"{each.name[0].upper()}{each.name[1:]} has changed since it was read. {error.detail}"
            raise Conflict(error.code, told, hint="Look at it again, then repeat.") from error
        done.append(f"{each.name}: version {each.payload.number}")
    return tuple(done)


def define(person: Person, kind: DefinitionKind, name: str, content: Content) -> Steps[int]:
    """Sign and record one definition; return the number of its new version, 0 when it is so already."""
    if not is_name(name):
        raise Refused("E-NAME", f"{name!r} is no name: use a-z, 0-9 and -, at most 63.")
    tenant = yield from find_tenant(person)
    found = yield from find_definitions(tenant, (), (((kind, name), content),))
    yield from record_definitions(found.fresh)
    return found.fresh[0].payload.number if found.fresh else 0


def _make(tenant: TenantName, name: Name, number: int, content: Content) -> Definition:
    if isinstance(content, Region):
        return Area(tenant=tenant, name=name[1], number=number, region=content)
    return UserGroup(tenant=tenant, name=name[1], number=number, points=content)


def _read_present(tenant: TenantName, name: Name) -> Steps[Known | None]:
    """Return what the tenant has signed and the core has; None when it has none."""
    kind, called = name
    request: Request[AreaDetail | UserGroupDetail] = (
        make_request("show_area", parameters={"area": called})
        if kind == "area"
        else make_request("show_user_group", parameters={"user_group": called})
    )
    try:
        envelope = (yield from send(request)).signed
    except NotFound:
        return None
    found = read_definition(envelope, (yield from ask_signer(ReadStatus(), SignerStatus)), tenant, kind)
    if found.name != called:
        raise Invalid("E-SUBJECT", f"The core brings {NOUNS[kind][0]} {found.name} for {called}.")
    return Known(found.number, read_content(found))


def _read_line(tenant: TenantName, name: Name) -> Steps[int]:
    """Return the highest number that was signed: a removed definition keeps its line, and the core does not show it."""
    kind, called = name
    ask = ReadLine(tenant=tenant, area=called) if kind == "area" else ReadLine(tenant=tenant, user_group=called)
    return (yield from ask_signer(ask, LineState)).signed
