"""CoModGAN, large scale image completion by co-modulated GANs (Zhao et al., ICLR 2021)."""
