"""Choosing site and node for an instance: integers only, a stated order, every refusal with its reason."""
