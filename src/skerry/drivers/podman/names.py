"""What podman's things of ours are called, and the labels by which they are found and told apart."""

from skerry.model.ids import AppName, Digest, ServiceName, TenantName

LABEL = "dev.skerry."


def name_container(tenant: TenantName, app: AppName, service: ServiceName, ordinal: int, digest: Digest) -> str:
    """Name a container so that two specifications of one instance can stand side by side, and people can read it."""
    readable = f"{tenant}-{app}-{service}-{ordinal}"[:150]
    return f"skerry-{readable}-{digest.removeprefix('sha256:')[:12]}"
