"""Training of what InsetGAN needs besides its generators."""
