"""The results of a visitor's last runs in the tab, and which run is shown; kept in the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from demo.comodgan.editor import Result
from demo.session import Session
from gan_core.errors import BadValue
from gan_core.images import held_bytes

MOST_RUNS = 20
MOST_BYTES = 128 << 20  # of pictures; the latest run is kept however large it is
_KEY = "comodgan-history"
_GONE = "There is no result here yet, or not any more. Please fill the hole again."


@dataclass
class RunResults:
    """The results of one run, in the order in which they were made."""

    before: Image.Image = field(repr=False)
    """What they are compared with, at the size at which it is shown."""
    results: list[Result] = field(default_factory=list)
    message: str = ""


class History:
    """A visitor's runs, oldest first, within `MOST_RUNS` and `MOST_BYTES`. Get it by `of`."""

    def __init__(self) -> None:
        self.runs: list[RunResults] = []
        self.at = 0
        """Number of the run that is shown."""

    @classmethod
    def of(cls, session: Session) -> History:
        """The session's; a new one where there is none or it had to make room."""
        return session.recall(_KEY) or cls()

    def begin(self, session: Session, before: Image.Image) -> None:
        """Begin a run, which is shown from now on."""
        self.runs.append(RunResults(before))
        self._keep(session)

    def add(self, session: Session, result: Result) -> list[Result]:
        """One more result of the latest run. Returns all of that run."""
        if not self.runs:  # the run had to make room for other visitors' results
            self.runs.append(RunResults(result.patch))
        self.runs[-1].results.append(result)
        self._keep(session)
        return self.runs[-1].results

    def say(self, message: str) -> None:
        """Keep the message under which the latest run ended."""
        if self.runs:
            self.runs[-1].message = message

    def step(self, by: int) -> RunResults:
        """Show another run: by -1 the earlier one, by 1 the later one. Raises BadValue where there is none any more."""
        if not self.runs:
            raise BadValue(_GONE)
        self.at = min(max(self.at + by, 0), len(self.runs) - 1)
        return self.runs[self.at]

    def result(self, index: Any) -> Result:
        """One of the results of the run that is shown. Raises BadValue when it is not there any more."""
        results = self.runs[self.at].results if self.runs else []
        if not isinstance(index, int) or not 0 <= index < len(results):
            raise BadValue(_GONE)
        return results[index]

    def _keep(self, session: Session) -> None:
        while len(self.runs) > 1 and (len(self.runs) > MOST_RUNS or self.size > MOST_BYTES):
            del self.runs[0]
        self.at = len(self.runs) - 1
        session.keep(_KEY, self, self.size)

    @property
    def size(self) -> int:
        """Bytes of all pictures; one that several results share counts once."""
        pictures = [run.before for run in self.runs]
        for result in (result for run in self.runs for result in run.results):
            pictures += [result.patch] if result.base is None else [result.patch, result.base]
        return held_bytes(*pictures)
