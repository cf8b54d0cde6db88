"""Same random numbers in every run, and one thread.

The networks here are so small that a second thread costs more than it brings: thirty steps of a training took 10 s of
processor time with one and 30 s with two; the eigenvalues of a 1280 x 1280 matrix 0.6 s and, beside other work, 10 s.
Those of published size, too, take half as much more with two, for tests run beside each other on all cores already.
"""

import os
import random

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


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
