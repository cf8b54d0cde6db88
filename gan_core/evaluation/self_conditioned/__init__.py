"""The Self-Conditioned GAN, measured."""
