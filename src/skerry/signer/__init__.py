"""The process that holds a person's keys: answers asks over its Unix socket, vouches for boxes and seals again unasked.

It calls the core and cannot be called by it; no port is open, and nothing it does unasked rests on the core's word.
"""
