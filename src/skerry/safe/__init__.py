"""The only code that turns outside strings and bytes into file access, and the only one that writes durable files.

Rule: no product knowledge here. ``paths`` is the door to directories, ``files``, ``blobs`` and ``sqlite`` write through
it, ``archives`` reads what others packed.
"""
