"""Evaluation of CoModGAN."""
