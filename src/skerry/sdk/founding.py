"""Founding: a new core gets its root document, its first tenant and its first tokens. Every step may be repeated.

The bootstrap token that a new core leaves in its data directory may do this and ends with the first operator's token.
Keys are made by the signer and stay there; the core learns public halves only.
"""

from skerry.model.ids import TenantName
from skerry.sdk.client import Client
from skerry.sdk.signing import SignerClient


def found_core(client: Client, signer: SignerClient, tenant: TenantName) -> str:
    """Give a core its root and first tenant, and return that tenant's first token: admin, and operator too.

    ``client`` has the bootstrap token. Raises as ``Client`` and ``SignerClient`` do; repeating it makes a new first
    token until the former one was used.
    """
    identity = client.core.show_core()
    if not identity.root:
        client.core.put_root(signer.make_root(identity.delivery, identity.delivery_ca, identity.endpoints))
    keys = signer.make_tenant(tenant).tenants[tenant]
    made = client.tenants.create(tenant=tenant, deploy_keys=keys, token_name="first", with_operator_role=True)
    return made.first.token


def make_signer_token(client: Client) -> str:
    """Return a token for the signer's own chores: it reads join requests and hands in what it signed."""
    return client.tokens.create(name="signer", tenant_role="deployer", operator_role="operator").token
