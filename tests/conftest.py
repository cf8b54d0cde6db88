"""Same random numbers in every run, and one thread.

The networks here are so small that a second thread costs more than it brings: thirty steps of a training took 10 s of
processor time with one and 30 s with two; the eigenvalues of a 1280 x 1280 matrix 0.6 s and, beside other work, 10 s.
Those of published size, too, take half as much more with two, for tests run beside each other on all cores already.
"""

import gc
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy's OpenBLAS reads it when it is imported; commands inherit it
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # where a command asks for more threads, those that wait sleep

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _as_at_first():
    torch.set_num_threads(1)  # a command that ran before may have asked for more
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


LONGEST = (  # half a minute of processor time and more, in this order
    "demo/comodgan/test_page.py", "demo/test_shipped.py", "demo/hfgi/test_page.py", "demo/insetgan/test_page.py",
    "demo/self_conditioned/test_page.py", "demo/swapping_autoencoder/test_page.py", "test_parity.py",
    "gan_core/test_export.py", "demo/test_zero_gpu.py", "ops_cuda/test_kernels.py", "demo/comodgan/test_api.py",
    "demo/insetgan/test_api.py",
    "training/swapping_autoencoder/test_train.py", "training/comodgan/test_train.py", "training/hfgi/test_train.py",
    "demo/test_faults.py", "demo/models_page/test_page.py", "gan_core/test_pretrained.py",
    "evaluation/metrics/test_scores.py", "hostile/test_readers.py", "training/test_training.py", "test_layering.py",
    "demo/test_hostile_requests.py", "training/self_conditioned/test_refine.py", "training/faces/test_head.py",
)  # fmt: skip
"""Files of tests that start first, so that of the processes that share the files none works on alone at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    folder = Path(__file__).parent
    rank = {folder / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish():
    """What the modules of all tests hold stays until the end: looking through it takes half a second of each of the
    garbage collections that memory is freed by, of which there are hundreds."""
    gc.collect()
    gc.freeze()
