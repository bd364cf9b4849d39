"""The node's name server: unbound, told by whole files which network knows which names (decision 0020).

``driver`` looks and does; ``server`` is the process; ``zones`` writes its files; ``asking`` asks the servers of other
sites; ``messages`` is as much of DNS as that needs.
"""

from skerry.drivers.names.driver import NamesDriver
from skerry.drivers.names.server import can_reach

__all__ = ["NamesDriver", "can_reach"]
