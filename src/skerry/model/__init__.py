"""The nouns of Skerry: frozen values and their validation. No I/O, no clock, no randomness, no SQL or HTTP words."""
