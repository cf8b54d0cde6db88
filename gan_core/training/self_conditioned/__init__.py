"""Training of the Self-Conditioned GAN."""
