"""Recorded bytes of released formats: what was written once is read for ever."""
