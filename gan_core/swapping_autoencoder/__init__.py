"""Swapping Autoencoder (Park et al., NeurIPS 2020): structure of one picture, texture of another."""
