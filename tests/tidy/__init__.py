"""Our own small checks: pure functions over texts that return complaints, each with a test that it can fail."""
