"""Training of StyleGAN2 on its own."""
