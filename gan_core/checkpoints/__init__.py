"""Checkpoints: the authors' files read safely and built into this project's modules, and this project's own."""
