"""InsetGAN (Fruehstueck et al., CVPR 2022): several generators, optimised jointly, draw one picture."""
