"""Read the whole corpus under limits: `python -m tests.hostile.child FOLDER`.

Each kind is read in a fork with the memory that it is allowed. Prints a line of JSON before and after each case and
when a fork has ended, so that whoever started it knows which case ended one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from gan_core.errors import StudioError
from tests.hostile.cases import MARKER, SECRET, Case
from tests.hostile.corpus import of_kind
from tests.hostile.readers import MEMORY, READERS

_SECONDS = 60  # of processor time for one case; beyond it the process ends


def limit_memory(megabytes: int) -> None:
    """Allow this process that much address space beyond what it has now."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20), hard))


def read(case: Case, folder: Path) -> dict[str, Any]:
    """The outcome of one case: what was read, or the refusal, or what went wrong; and what is left in the folder."""
    path = folder / f"case{case.suffix}"
    path.write_bytes(case.data)
    started = time.process_time()
    outcome: dict[str, Any] = {"key": case.key, "file": str(case)}
    try:
        outcome["read"] = READERS[case.kind](path)
    except StudioError as error:
        outcome["refused"] = str(error)
    except BaseException as error:
        outcome["failed"] = "".join(traceback.format_exception(error))[-3000:]
    path.unlink()
    outcome["seconds"] = time.process_time() - started
    outcome["left"] = sorted(one.name for one in folder.rglob("*") if one.name != SECRET)
    return outcome


def read_kind(kind: str, folder: Path) -> None:
    """Every case of a kind, in this process."""
    folder.mkdir()
    os.chdir(folder)
    (folder / SECRET).write_text("nobody may read this")
    cases = of_kind(kind)
    limit_memory(MEMORY[kind])
    for case in cases:
        say(begins=case.key)
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        outcome = read(case, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        say(**outcome)
        assert not (folder / MARKER).exists(), case.key


def say(**line: Any) -> None:
    """A line of JSON."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Command line."""
    for number, kind in enumerate(READERS):
        process = os.fork()
        if process == 0:
            try:
                read_kind(kind, folder / str(number))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        say(ended=kind, status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
