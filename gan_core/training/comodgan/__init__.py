"""Training of CoModGAN."""
