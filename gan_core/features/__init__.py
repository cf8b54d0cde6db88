"""ImageNet features: EfficientNet-Lite0 from a package of the registry, and what is measured in them.

No number taken in these features is comparable with a published FID, LPIPS or precision, which use other networks.
"""

from gan_core.features.efficientnet_lite0 import CHANNELS, STRIDES, EfficientNetLite0, load
from gan_core.features.perceptual import PerceptualDistance

__all__ = ["CHANNELS", "STRIDES", "EfficientNetLite0", "PerceptualDistance", "load"]
