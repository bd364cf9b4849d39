"""The control plane's shell: one method per operation; loops load, decide, perform and record. No placement logic."""
