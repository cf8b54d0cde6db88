"""Self-Conditioned GAN for image editing (Liu et al., SIGGRAPH 2022): attributes set out to the data's edges."""
