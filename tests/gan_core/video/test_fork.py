"""A process that is forked after videos were read and written, as on ZeroGPU, lives on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, sys, threading, time
from pathlib import Path
import av
from PIL import Image
from gan_core.video.container import upright
from gan_core.video.loops import write_loop

ready, over = threading.Event(), threading.Event()

def work():
    path = write_loop([Image.new("RGB", (640, 480), "teal")] * 3, Path(sys.argv[1]) / "loop.mp4", rate=10, note="")
    with av.open(str(path)) as video:
        pictures = [upright(frame) for frame in video.decode(video=0)]
    ready.set()
    over.wait()

threading.Thread(target=work, daemon=True).start()
ready.wait()
child = os.fork()
if not child:
    os._exit(0)
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.waitpid(child, os.WNOHANG)[0]:
        print("ended")
        os._exit(0)
    time.sleep(0.05)
os.kill(child, 9)
print("hangs")
os._exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_fork_after_a_video_does_not_hang(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "ended", done.stdout + done.stderr
