"""What one thread freed serves the next one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from demo import context, gpu
from demo.session import Sessions
from demo.settings import read

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


# Every second piece is freed, so no heap can shrink at its end.
PIECES = """
import sys
from demo.memory import give_back_freed
pieces = [bytearray(100_000) for _ in range(4000)]
del pieces[::2]
if sys.argv[1] == "given back" and not give_back_freed():
    print("unsupported")
    raise SystemExit
print(int(open('/proc/self/statm').read().split()[1]) * 4096 // 2**20)
"""


def megabytes(mode: str, work: str = WORK) -> int:
    out = subprocess.run(
        [sys.executable, "-c", work, mode],
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


def test_what_lies_freed_between_what_is_kept_goes_back_to_the_system() -> None:
    given_back = megabytes("given back", PIECES)  # skips where there is no glibc
    assert given_back < megabytes("as it is", PIECES) - 100


def test_it_goes_back_now_and_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = threading.Event()
    monkeypatch.setattr(context, "_SWEEP_EVERY", 0.01)
    monkeypatch.setattr(context, "give_back_freed", given.set)
    monkeypatch.setattr(gpu, "_executor", None)
    settings = read(["--no-preload"], {"TMPDIR": str(tmp_path)})
    context.Studio(settings, Sessions(tmp_path)).start_background()
    assert given.wait(10)
