"""Runs that are too long for each change: a list, a runner, and results that are committed under docs/results/.

Rule: a run is a module that writes its figures as JSON to the file it is given; nothing in a result is typed by hand.
Neighbours: `runs.py` is the list, `runner.py` runs one and wraps its figures, `./dev long` starts `__main__.py`.
"""
