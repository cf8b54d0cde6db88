"""HFGI, high-fidelity GAN inversion for image attribute editing (Wang et al., CVPR 2022)."""
