"""The Python client: one request builder over ``operations.py``, a plain and an asynchronous face, one error tree."""
