"""The operations that every StyleGAN2 is made of: one public function each.

Each is a `torch.library` custom op (see `operation`) with a fake implementation and gradients of both orders. The plain
PyTorch reference is the specification; on CUDA a Triton kernel does the same work where one exists.
"""

from ops_cuda.backend import BackendStatus, status
from ops_cuda.bias_act import bias_act
from ops_cuda.conv2d import conv2d, conv_transpose2d
from ops_cuda.finish import finish
from ops_cuda.modulated_conv2d import demodulation, modulated_conv2d, scaled_conv2d
from ops_cuda.relu6_depthwise import relu6_depthwise
from ops_cuda.upfirdn2d import setup_filter, upfirdn2d

__all__ = [
    "BackendStatus",
    "bias_act",
    "conv2d",
    "conv_transpose2d",
    "demodulation",
    "finish",
    "modulated_conv2d",
    "relu6_depthwise",
    "scaled_conv2d",
    "setup_filter",
    "status",
    "upfirdn2d",
]
