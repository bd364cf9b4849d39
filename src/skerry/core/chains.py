"""Service chains of a tenant's apps: what their newest revisions say, and where nodes say that the traffic goes."""

from collections import Counter

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.refusals import not_found
from skerry.core.state import Part
from skerry.core.use import WATCHED_US
from skerry.model.answers import ChainDetail, ChainNodeView, ChainView, Page
from skerry.model.app import AppRevision
from skerry.model.asks import ChainQuery
from skerry.model.chain import Chain
from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, ServiceName, SiteName
from skerry.store import Connection, facts
from skerry.store.fleet import read_newest_revisions
from skerry.store.rows import read_page_token, write_page_token

#: Nodes that one answer lists, 300 bytes each; the counts are of all of them.
NODES_SHOWN_MAX = 1_000
#: Sites that are asked for quicker samples by one look.
WATCHED_MAX = 20

_States = dict[tuple[AppName, str], Counter[str]]


class ChainsPart(Part):
    """Operations that show service chains."""

    async def list_chains(self, caller: Caller, *, query: ChainQuery) -> Page[ChainView]:
        """List chains by app, and within it in the order in which they are asked."""
        position = read_page_token(query.page_token, 2)

        def job(connection: Connection) -> Page[ChainView]:
            states: _States = {}
            for _, fact in facts.list_chain_facts(connection, caller.scope, app=query.app):
                states.setdefault((fact.app, fact.chain), Counter())[fact.state] += 1
            found = [
                _view(revision, chain, states)
                for revision in read_newest_revisions(connection, caller.scope, app=query.app)
                for chain in sorted(revision.chains or (), key=lambda each: each.name)
                if position is None or (revision.app, chain.name) > tuple(position)
            ]
            shown = found[: query.page_size]
            token = write_page_token(shown[-1].app, shown[-1].chain) if len(found) > query.page_size else ""
            return Page(items=tuple(shown), next_page_token=token)

        return await self._core.db.read(job)

    async def show_chain(self, caller: Caller, *, app: str, chain: str) -> ChainDetail:
        """Show one chain of an app, and what each node says of it."""

        def job(connection: Connection) -> tuple[ChainView, list[ChainNodeView]]:
            revision = next(read_newest_revisions(connection, caller.scope, app=app), None) if caller.owner() else None
            said = next((each for each in revision.chains or () if each.name == chain), None) if revision else None
            if revision is None or said is None:
                raise not_found()
            told = [
                each for each in facts.list_chain_facts(connection, caller.scope, app=app) if each[1].chain == chain
            ]
            states: _States = {(revision.app, chain): Counter(fact.state for _, fact in told)}
            nodes = [
                self._view_node(site, fact, said)
                for site, fact in sorted(told, key=lambda each: (each[0], each[1].node))
            ]
            return _view(revision, said, states), nodes

        view, nodes = await self._core.db.read(job)
        shown = tuple(nodes[:NODES_SHOWN_MAX])
        self._core.watch_use(sorted({each.site for each in shown[:WATCHED_MAX]}), WATCHED_US)
        return ChainDetail(chain=view, nodes=shown, more=max(len(nodes) - NODES_SHOWN_MAX, 0))

    def _view_node(self, site: SiteName, fact: ChainFact, said: Chain) -> ChainNodeView:
        newest = self._core.use.newest(site)
        whole = (fact.tenant, fact.app, fact.chain)
        counted = (
            [] if newest is None else [use for use in newest.sample.chains if (use.tenant, use.app, use.chain) == whole]
        )
        age_s = (self._core.clock.boot_us() - newest.boot_us) // SECOND_US if newest is not None and counted else None
        packets = {step.service: (step.out, step.back) for use in counted for step in use.steps}
        return ChainNodeView(
            site=site,
            node=fact.node,
            state=fact.state,
            steps=_order(said, fact.steps),
            reason=fact.reason,
            latency_us=fact.latency_us,
            path_us=fact.path_us,
            late=fact.late,
            flaw=fact.flaw,
            packets=packets,
            counted_s_ago=age_s,
        )


def _order(chain: Chain, steps: dict[ServiceName, str]) -> dict[ServiceName, str]:
    """Return steps in their order; those of a node that still has another revision come last."""
    known = {step: steps[step] for step in chain.through if step in steps}
    return known | {step: steps[step] for step in steps if step not in known}


def _view(revision: AppRevision, chain: Chain, states: _States) -> ChainView:
    counts = states.get((revision.app, chain.name), Counter[str]())
    return ChainView(
        app=revision.app,
        chain=chain.name,
        start=str(chain.start),
        through=chain.through,
        end=str(chain.end),
        symmetric=chain.symmetric,
        fail=chain.fail,
        max_latency_us=chain.max_latency_us,
        whole=counts["whole"],
        around=counts["around"],
        closed=counts["closed"],
    )
