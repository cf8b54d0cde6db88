"""Compose a body (InsetGAN)."""
