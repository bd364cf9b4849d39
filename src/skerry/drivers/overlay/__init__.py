"""Tunnels to other sites over ``wg`` and ``ip``: WireGuard in the kernel, else wireguard-go.

``driver`` looks and does; ``wireguard`` turns what is wished and what is there into words of ``wg``; ``addresses``
reads where the node may be reached.
"""

from skerry.drivers.overlay.driver import OverlayDriver

__all__ = ["OverlayDriver"]
