"""How boxes join: tokens that a signer minted, and the requests of boxes that used one.

The core admits and hands on; only the signer's signature makes a box part of a site (trust.md §8).
"""

import msgspec

from skerry.core.auth import Caller
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import JoinRequestView, JoinTokenView, Page
from skerry.model.asks import CreateJoinToken, PageQuery, RejectJoin
from skerry.model.ids import SiteName, TokenId
from skerry.store import Connection, events, joining, sites
from skerry.store.joining import JoinRequestRow, JoinTokenRow
from skerry.store.rows import read_page_token, write_page_token


class JoiningPart(Part):
    """Operations on join tokens and join requests."""

    async def create_join_token(self, caller: Caller, *, body: CreateJoinToken) -> JoinTokenView:
        """Let one box join; the same token may be sent again after a lost answer."""

        def job(connection: Connection, stamp: Stamp) -> JoinTokenView:
            row = JoinTokenRow(
                token_id=TokenId(body.token_id),
                site=SiteName(body.site),
                core_key=body.core_key,
                expires_us=stamp.now_us + body.lifetime_s * 1_000_000,
            )
            known = joining.find_join_token(connection, body.token_id)
            if known is None:
                joining.record_join_token(connection, row)
                return _view_token(row, stamp.now_us)
            if (known.site, known.core_key) != (row.site, row.core_key):
                raise Clash("E-EXISTS", "There is another join token with that id.")
            return _view_token(known, stamp.now_us)

        return await self._core.change(caller, "create_join_token", f"join-token/{body.token_id}", job, chain="")

    async def list_join_tokens(self, caller: Caller, *, query: PageQuery) -> Page[JoinTokenView]:
        """List join tokens by id."""
        position = read_page_token(query.page_token, 1)
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> Page[JoinTokenView]:
            rows = joining.list_join_tokens(connection, position[0] if position else "", query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].token_id) if more else ""
            return Page(items=tuple(_view_token(row, now_us) for row in shown), next_page_token=token)

        return await self._core.db.read(job)

    async def revoke_join_token(self, caller: Caller, *, token: str) -> JoinTokenView:
        """End a join token."""

        def job(connection: Connection, stamp: Stamp) -> JoinTokenView:
            joining.revoke_join_token(connection, token)
            row = joining.find_join_token(connection, token)
            if row is None:
                raise not_found()
            return _view_token(row, stamp.now_us)

        return await self._core.change(caller, "revoke_join_token", f"join-token/{token}", job, chain="")

    async def list_join_requests(self, caller: Caller, *, query: PageQuery) -> Page[JoinRequestView]:
        """List join requests, oldest first."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[JoinRequestView]:
            rows = joining.list_join_requests(connection, position[0] if position else "", query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].request) if more else ""
            return Page(items=tuple(_view_request(connection, row) for row in shown), next_page_token=token)

        return await self._core.db.read(job)

    async def reject_join(self, caller: Caller, *, request: str, body: RejectJoin) -> JoinRequestView:
        """Turn a box away."""

        def job(connection: Connection, stamp: Stamp) -> JoinRequestView:
            row = joining.find_join_request(connection, request)
            if row is None:
                raise not_found()
            if row.state != "pending":
                raise Clash("E-SETTLED", f"The request is {row.state} already.")
            joining.settle_join_request(connection, request, "refused", body.reason or "refused by the operator")
            events.append_core_event(
                connection,
                "site.join-refused",
                time_us=stamp.now_us,
                subject=f"site/{row.site}",
                cause=stamp.cause,
                message=f"Node {row.node} was turned away.",
            )
            return _view_request(connection, msgspec.structs.replace(row, state="refused"))

        done = await self._core.change(caller, "reject_join", f"join-request/{request}", job, chain="")
        self._core.records.ring()
        return done


def _view_token(row: JoinTokenRow, now_us: int) -> JoinTokenView:
    ended = row.revoked or row.expires_us <= now_us
    return JoinTokenView(
        token_id=row.token_id,
        site=row.site,
        state="used" if row.device is not None else "ended" if ended else "open",
        expires_us=row.expires_us,
        node=row.node,
    )


def _view_request(connection: Connection, row: JoinRequestRow) -> JoinRequestView:
    site = sites.find_site(connection, row.site)
    return JoinRequestView(
        request=row.request,
        token_id=row.token_id,
        site=row.site,
        node=row.node,
        device=row.body.device,
        sealing=row.body.sealing,
        proof=row.body.proof,
        mac_core=row.body.mac_core,
        mac_bind=row.body.mac_bind,
        nonce=row.nonce,
        server_digest=row.server_digest,
        record_number=0 if site is None else site.number,
        state=row.state,
        asked_us=row.asked_us,
    )
