"""InsetGAN, measured."""
