"""The same for the evaluation."""

from tests.gan_core.insetgan.conftest import _one_thread

__all__ = ["_one_thread"]
