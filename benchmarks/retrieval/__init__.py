"""Every retrieval model of the course beside its baselines and peers, on one protocol."""
