"""Triton kernels; imported only where they can run."""
