"""The site's entrance over HAProxy and nftables (decision 0021).

``driver`` looks and does; ``haproxy`` turns what is wished into HAProxy's files and words, and its answers into what is
there; ``control`` speaks with its socket; ``datagrams`` shares out UDP, which HAProxy does not do.
"""

from skerry.drivers.entrance.driver import EntranceDriver

__all__ = ["EntranceDriver"]
