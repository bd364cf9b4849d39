"""The command line: commands and rendering. It talks through ``sdk`` and the signer's socket alone."""
