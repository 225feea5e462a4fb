"""Runs: their folders, how far they are, and what carries them out, here and on a cluster."""
