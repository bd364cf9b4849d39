"""Containers by podman's REST API: ``http`` speaks, ``spec`` translates, ``files`` lays out, ``driver`` acts."""

from skerry.drivers.podman.driver import PodmanDriver

__all__ = ["PodmanDriver"]
