"""Evaluation of the Self-Conditioned GAN."""
