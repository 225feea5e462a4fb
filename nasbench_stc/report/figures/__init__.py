"""Figures, a file each: a pure function from `Inputs` to a `Chart`, and in `FIGURES` the name by which it is asked for.

A chart draws itself, and only that imports matplotlib.
"""
