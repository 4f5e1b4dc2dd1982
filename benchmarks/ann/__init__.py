"""How fast and how right are the indices, from a few thousand items to millions? `python -m benchmarks.ann --help`."""
