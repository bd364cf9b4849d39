"""Pure planners: values in, a plan with reasons out. No async, no logging, no store, no drivers, no settings."""
