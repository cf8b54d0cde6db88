"""Where published checkpoints are kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def default_folder() -> Path:
    """The folder named by the environment variable STUDIO_WEIGHTS, else one in the user's data folder."""
    return Path(os.environ.get("STUDIO_WEIGHTS") or user_data_path("gan-studio") / "weights")
