"""Fill a hole (CoModGAN)."""
