"""Transports that carry encoded frames between a child and its parent, both ends; what a frame means is for others."""
