"""What one thread freed serves the next one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Ten threads, one after another, each with some live memory behind what it frees, as requests have.
WORK = """
import sys, threading
if sys.argv[1] == "shared":
    from demo.memory import share_heaps
    if not share_heaps():
        print("unsupported")
        raise SystemExit
kept, alive = [], threading.Event()
def request(done):
    freed = [bytearray(100_000) for _ in range(600)]
    kept.append(bytearray(50_000))
    freed.clear()
    done.set()
    alive.wait()
for _ in range(10):
    done = threading.Event()
    threading.Thread(target=request, args=(done,), daemon=True).start()
    done.wait()
print(int(open('/proc/self/statm').read().split()[1]) * 4096 // 2**20)
"""


def megabytes(mode: str) -> int:
    out = subprocess.run(
        [sys.executable, "-c", WORK, mode],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    if out == "unsupported":
        pytest.skip("the system's allocator is not glibc's")
    return int(out)


def test_threads_do_not_keep_what_they_freed() -> None:
    shared = megabytes("shared")  # skips where there is no glibc
    assert shared < megabytes("as it is") - 200
