"""Evaluation of the Swapping Autoencoder."""
