"""The engine: the loops that train a supernet and that simulate by a benchmark, and scoring without training."""
