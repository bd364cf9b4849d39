"""HTTP for people, CI and the console: routes and OpenAPI from ``operations.py``, authentication, streams. No rules."""
