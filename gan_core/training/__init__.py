"""Training shared by all papers: data on the device, augmentation, the adversarial loop, distributed set-up."""
