"""Join tokens and the requests of boxes that used one."""

from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from skerry.model.ids import NodeName, SiteName, TokenId
from skerry.model.signed import PublicKey
from skerry.store.schema import JOIN_REQUESTS, JOIN_TOKENS
from skerry.wire import JoinRequest

JoinState = Literal["pending", "joined", "refused"]

_KEY: msgspec.json.Decoder[PublicKey] = msgspec.json.Decoder(PublicKey)
_REQUEST: msgspec.msgpack.Decoder[JoinRequest] = msgspec.msgpack.Decoder(JoinRequest)


class JoinTokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A join token as the core may know it."""

    token_id: TokenId
    site: SiteName
    core_key: bytes
    expires_us: int
    revoked: bool = False
    #: Device key that used it, and the name of its node.
    device: PublicKey | None = None
    node: NodeName | None = None


class JoinRequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A box that asked to join."""

    request: str
    token_id: str
    site: SiteName
    node: NodeName
    body: JoinRequest
    nonce: bytes
    server_digest: bytes
    state: JoinState
    reason: str
    asked_us: int


def record_join_token(connection: Connection, row: JoinTokenRow) -> None:
    """Keep a new token."""
    connection.execute(
        insert(JOIN_TOKENS).values(
            token_id=row.token_id,
            site=row.site,
            core_key=row.core_key,
            expires_us=row.expires_us,
            revoked=row.revoked,
            device="",
            node="",
        )
    )


def find_join_token(connection: Connection, token_id: str) -> JoinTokenRow | None:
    """Return a token."""
    row = connection.execute(select(JOIN_TOKENS).where(JOIN_TOKENS.c.token_id == token_id)).first()
    return None if row is None else _read_token(row)


def list_join_tokens(connection: Connection, after: str, limit: int) -> list[JoinTokenRow]:
    """Return tokens in the order of their ids."""
    query = select(JOIN_TOKENS).where(JOIN_TOKENS.c.token_id > after).order_by(JOIN_TOKENS.c.token_id).limit(limit)
    return [_read_token(row) for row in connection.execute(query)]


def burn_join_token(connection: Connection, token_id: str, device: PublicKey, node: NodeName) -> None:
    """Bind a token to the one device that used it."""
    values = {"device": msgspec.json.encode(device).decode(), "node": node}
    connection.execute(update(JOIN_TOKENS).where(JOIN_TOKENS.c.token_id == token_id).values(**values))


def revoke_join_token(connection: Connection, token_id: str) -> None:
    """End a token."""
    connection.execute(update(JOIN_TOKENS).where(JOIN_TOKENS.c.token_id == token_id).values(revoked=True))


def record_join_request(connection: Connection, row: JoinRequestRow) -> None:
    """Keep a request; an unanswered one of the same node is replaced, because its connection is gone."""
    same = JOIN_REQUESTS.c.site == row.site, JOIN_REQUESTS.c.node == row.node
    connection.execute(delete(JOIN_REQUESTS).where(*same, JOIN_REQUESTS.c.state == "pending"))
    values = msgspec.structs.asdict(row) | {"body": msgspec.msgpack.encode(row.body)}
    connection.execute(insert(JOIN_REQUESTS).values(**values))


def find_join_request(connection: Connection, request: str) -> JoinRequestRow | None:
    """Return one request."""
    row = connection.execute(select(JOIN_REQUESTS).where(JOIN_REQUESTS.c.request == request)).first()
    return None if row is None else _read_request(row)


def newest_join_request(connection: Connection, site: str, node: str) -> JoinRequestRow | None:
    """Return the newest request of a node."""
    where = JOIN_REQUESTS.c.site == site, JOIN_REQUESTS.c.node == node
    row = connection.execute(select(JOIN_REQUESTS).where(*where).order_by(JOIN_REQUESTS.c.request.desc())).first()
    return None if row is None else _read_request(row)


def list_join_requests(connection: Connection, after: str, limit: int) -> list[JoinRequestRow]:
    """Return requests, oldest first."""
    query = select(JOIN_REQUESTS).where(JOIN_REQUESTS.c.request > after)
    rows = connection.execute(query.order_by(JOIN_REQUESTS.c.request).limit(limit))
    return [_read_request(row) for row in rows]


def settle_join_request(connection: Connection, request: str, state: JoinState, reason: str = "") -> None:
    """Write what became of a request."""
    where = JOIN_REQUESTS.c.request == request
    connection.execute(update(JOIN_REQUESTS).where(where).values(state=state, reason=reason))


def _read_token(row: Row[Any]) -> JoinTokenRow:
    return JoinTokenRow(
        token_id=TokenId(row.token_id),
        site=SiteName(row.site),
        core_key=row.core_key,
        expires_us=row.expires_us,
        revoked=row.revoked,
        device=_KEY.decode(row.device) if row.device else None,
        node=NodeName(row.node) if row.node else None,
    )


def _read_request(row: Row[Any]) -> JoinRequestRow:
    return JoinRequestRow(
        request=row.request,
        token_id=row.token_id,
        site=SiteName(row.site),
        node=NodeName(row.node),
        body=_REQUEST.decode(row.body),
        nonce=row.nonce,
        server_digest=row.server_digest,
        state=row.state,
        reason=row.reason,
        asked_us=row.asked_us,
    )
