"""Skerry: a cloud for the edge. docs/architecture.md is the map of the rooms in this package."""

__version__ = "0.1.0"
