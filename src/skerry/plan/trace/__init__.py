"""Which way packets take between two ends, and why they do not: ``node.py`` at the site, the rest at the core."""
