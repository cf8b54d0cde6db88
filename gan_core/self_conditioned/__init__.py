"""Self-Conditioned GAN for image editing (Liu et al., SIGGRAPH 2022): attribute values far out on the data's tails."""
