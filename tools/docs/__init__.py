"""`./dev docs`: the pages of docs/ as a site that needs no network, neither to be made nor to be read.

Made by Sphinx with MyST and the theme Furo. Looked at in December 2026: MkDocs 1 has had no release since August 2024
and its successor takes none of its plugins; Material for MkDocs stands on it and gets repairs only; Zensical, by the
same people, is at 0.1 and changes monthly. Sphinx and MyST are released several times a year by many hands, warn of
every dead link and anchor, and search in the browser without a server. Furo loads nothing from elsewhere. Ours is only
what they cannot know: the order of the pages.

Rule: pages stay plain Markdown that reads well where the checkout is read. What only the site needs is added on the
way, by `stage.py`, from the order that `navigation.py` declares.
"""
