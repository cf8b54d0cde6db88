"""InsetGAN (Fruehstueck et al., CVPR 2022): several generators agree on one picture."""
