"""HFGI, measured."""
