"""The retrieval model trained by two processes: equal to one, with and without an accident."""
