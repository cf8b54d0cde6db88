"""Training of HFGI."""
