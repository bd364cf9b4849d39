"""From Compose and ``x-skerry`` text to model values, with every error at once and its line: client side, no I/O."""
