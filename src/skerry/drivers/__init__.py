"""The site's hands: one file per runtime, each openable alone. Drivers observe and perform; they choose nothing."""
