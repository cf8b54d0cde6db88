"""`demo.ray_bridge` over a cluster that is a file: `python -m tests.demo.fake_bridge`. While the file is there, the
cluster is; what it contains is its life. A call says which life it ran in, or does what its task is named."""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from demo import ray_bridge
from demo.gpu import Done, Step
from gan_core.errors import BadValue

STOPPED = threading.Event()


class Odd(BadValue):
    """Cannot be unpickled: its arguments are not what it is made with."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"not {one} but {two}")


class Response:
    """What a call can be stopped by."""

    def cancel(self) -> None:
        STOPPED.set()


class Lives:
    """Stands for the replicas."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConnectionError("nobody listens")
        self.life = path.read_text()
        if self.life == "broken":
            raise ValueError("deploying failed")

    def stream(self, call, progress, responses):
        responses.append(Response())
        name = call.task.name.rpartition(".")[2]
        yield Step(0.5, f"life {self.life}")
        if name == "refuse":
            raise BadValue("Choose a number from 1 to 5.")
        if name == "stumble":
            raise KeyError("a mistake of ours")
        if name == "puzzle":
            raise Odd(1, 2)
        if name == "die" and self.life == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "wait" and self.life == "1":
            STOPPED.wait()
            Path(call.args[1]).touch()
        progress(0.7, "loading")
        yield Done(f"life {self.life}")

    def models(self):
        return []


def main() -> None:
    """As `demo.ray_bridge.main`."""
    ray_bridge._EVERY = ray_bridge._AGAIN = 0.02
    there: list[Path] = []

    def join(wanted):
        there.append(Path(wanted.address))
        return Lives(there[0])

    ray_bridge.run(ray_bridge.Channel(Connection(int(sys.argv[1]))), join, lambda: there[0].exists())


if __name__ == "__main__":
    main()
