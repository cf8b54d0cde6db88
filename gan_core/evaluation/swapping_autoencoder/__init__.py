"""The Swapping Autoencoder, measured."""
