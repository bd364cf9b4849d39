"""The hardware address of a network's bridge, which is the gateway of its instances.

Until it is set, a bridge has the lowest address of its ports (Linux, ``br_stp_recalculate_bridge_id``). When the
instance with that one ends, the gateway has another address, and its neighbours send to the old one for up to half a
minute. podman makes the bridge with a network's first instance and sets none, so what it has by then is set: nothing
changes at that moment, and nothing later.
"""

import msgspec

from skerry.drivers.base import bridge_name, run_program
from skerry.model.instance import InstanceSpec


class _Link(msgspec.Struct):
    address: str = ""


async def keep_addresses(spec: InstanceSpec) -> None:
    """Have the bridges of an instance's networks keep the address that they have; one that is not there is left out."""
    for network in spec.networks:
        bridge = bridge_name(spec.tenant, spec.app, network)
        code, output = await run_program("ip", "-json", "link", "show", "dev", bridge)
        if code == 0:
            for link in msgspec.json.decode(output, type=list[_Link])[:1]:
                await run_program("ip", "link", "set", "dev", bridge, "address", link.address)
