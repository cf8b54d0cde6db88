"""Measurements for the model cards and docs: metrics, and a folder for each paper. The app does not import it."""
