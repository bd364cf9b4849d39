"""Where private keys live on disk: a node's own two, and a person's keyring. Nothing here knows what is signed."""
