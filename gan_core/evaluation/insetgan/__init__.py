"""Evaluation of InsetGAN."""
