"""Makes Debian packages of this checkout: `./dev deb`, for Debian 12 and the processor it runs on.

Rule: what is in a package is decided by packaging/deb/ and by the pinned wheels, so a package installs without a
network, and the packages of a commit hold the same files whoever builds them. Neighbours: `tree.py` makes the private
environment and says which package has which library, `archive.py` makes packages of files, `__main__.py` is the word.
"""
