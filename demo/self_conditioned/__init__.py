"""Edit at the edges (Self-Conditioned GAN)."""
