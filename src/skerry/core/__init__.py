"""The control plane's shell: one method per operation, loops that load, decide, perform and record. No placement logic."""
