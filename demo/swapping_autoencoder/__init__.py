"""Swap structure and texture (Swapping Autoencoder)."""
