"""Planted bugs: small patches that break one promise each, and a run that counts the seeds until one is noticed."""
