"""Volumes on this node's disks: what is where, and every step about one."""

from skerry.drivers.volumes.driver import VolumesDriver as VolumesDriver
from skerry.drivers.volumes.layout import Identity as Identity
