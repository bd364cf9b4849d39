"""What tests of apps and of pipelines need: a whole core in memory, with sites that do at once as they are told.

``from skerry.testing import FakeCore``. The product never imports this room; it may import all of the product.
"""

from skerry.testing.fake import FakeCore

__all__ = ["FakeCore"]
