"""CoModGAN, measured."""
