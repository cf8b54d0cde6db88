"""Evaluation of HFGI."""
