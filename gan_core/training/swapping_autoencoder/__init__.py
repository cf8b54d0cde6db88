"""Training of the Swapping Autoencoder."""
