"""Predicted ratings: every model of chapter 6 beside its baselines and a peer, on two splits."""
