"""e4e, an encoder for StyleGAN image manipulation (Tov et al., SIGGRAPH 2021): pictures to W+ latents."""
