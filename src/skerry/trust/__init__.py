"""Envelopes, keys and verification as pure functions over bytes: who may make a site do what (docs: trust)."""
