"""Judges from outside this project, for measuring only: see `python -m gan_core.evaluation.judges`."""
