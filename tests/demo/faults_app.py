"""The app over the fake editor, whose model is read from the file at STUDIO_TEST_MODEL and may run out of memory."""

import os
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints.embedded import build_from_file
from gan_core.registry import ModelSpec
from tests.demo import fakes
from tests.demo.fake_app import serve


class Scale(torch.nn.Module):
    """What lies in the file: the strength of an edit."""

    def __init__(self, size: int = 1):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((size,), 0.1))


class PipelineFromFile(fakes.FakePipeline):
    """The fake editor with numbers from a file; it asks for too much memory while a file ".hungry" is there."""

    def __init__(self, path: Path):
        super().__init__()
        network, _ = build_from_file(Scale, path, "the fake editor")
        self.scale = network.scale
        self.hungry = path.with_suffix(".hungry")

    def edit(self, inversion, strengths, *, consult=True, offset=None):
        """As the fake editor's."""
        assert 0 < float(self.scale.sum()) < 1e6  # every number is read
        if self.hungry.exists():
            torch.empty(1 << 60)
        return super().edit(inversion, strengths, consult=consult, offset=offset)


if __name__ == "__main__":
    path = Path(os.environ["STUDIO_TEST_MODEL"])
    spec = ModelSpec(fakes.MODEL, lambda load: PipelineFromFile(path), 256, "CC0-1.0", title="the fake editor")
    pytest.MonkeyPatch().setattr(fakes, "specs", lambda: [spec])
    serve()
