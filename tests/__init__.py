"""Tests: a folder per room of src/skerry, and folders for what crosses rooms (tests/tidy/mirror.py lists those)."""
