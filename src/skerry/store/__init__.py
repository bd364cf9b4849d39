"""Durable state of the core: schema, migrations, one query file per noun. SQL is here and in `agent/journal.py`."""
