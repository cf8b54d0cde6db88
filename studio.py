#!/usr/bin/env python3
"""Set up and run, on a fresh machine with nothing but Python 3.10 or newer:

    python3 studio.py run [flags of app.py]     installs into .venv, then starts the app
    python3 studio.py test [flags of pytest]    the same with what tests need, then lint, types and all tests

Both take --no-system: nothing is installed outside .venv. Without it, and as root on Debian or Ubuntu, what is missing
there (Python's venv module; Chromium, for the tests of the page) is installed with apt-get, which is said before.
With CI=true in the environment, tests without a Chromium fail instead of leaving out the page.

Only the standard library is used here. Installing is skipped while the requirements are unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
APP = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")
NO_SYSTEM = "--no-system"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def main(arguments: list[str]) -> int:
    """Returns the exit status of what was run."""
    if sys.version_info < (3, 10):  # noqa: UP036 (this is the check itself)
        print("Python 3.10 or newer is needed; this is " + sys.version.split()[0])
        return 1
    command, flags = (arguments[0], arguments[1:]) if arguments else ("", [])
    system = NO_SYSTEM not in flags
    flags = [flag for flag in flags if flag != NO_SYSTEM]
    if command == "run":
        install(APP, system)
        return replace_by(PYTHON, "-m", "gan_studio", "run", *flags)
    if command == "test":
        install(DEVELOPMENT, system)
        return test(flags, system)
    print(__doc__)
    return 0 if command in ("-h", "--help") else 2


def install(requirements: tuple[str, ...], system: bool) -> None:
    """Make .venv and install what the files list into it, unless that was done for these very lines.

    system: what Python itself lacks for that may be installed with apt-get.
    """
    done = STAMP.read_text().split() if PYTHON.is_file() and STAMP.is_file() else []
    if stamp_of(requirements) in done:
        return
    print("Installing into .venv: a few minutes the first time, mostly PyTorch.", flush=True)
    if not PYTHON.is_file():
        make_venv(system)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check")
    check(*pip, "install", "--quiet", "--upgrade", "pip")
    check(*pip, "install", "--prefer-binary", *(word for name in requirements for word in ("-r", name)))
    STAMP.write_text("\n".join({stamp_of(APP), stamp_of(requirements)}))  # more than the app needs will do for it


def stamp_of(requirements: tuple[str, ...]) -> str:
    """Changes with the lines to be installed and with Python's version."""
    lines = b"".join((ROOT / name).read_bytes() for name in requirements)
    return hashlib.sha256(lines + sys.version.encode()).hexdigest()


def make_venv(system: bool) -> None:
    """Debian and Ubuntu split venv from Python: where it is missing, install it if that is allowed."""
    if call(sys.executable, "-m", "venv", str(VENV)) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not (system and apt_install(package, "Python's venv module is missing")):
        raise SystemExit(f"Python's venv module is missing. Install it ({package}) and run this again.")
    check(sys.executable, "-m", "venv", str(VENV))


def test(flags: list[str], system: bool) -> int:
    """Lint, format check, types and tests; all of them run even when one fails.

    The types are checked beside the tests, which often wait for a page and leave a core idle.
    """
    browser = find_browser(system)
    if browser:
        os.environ["STUDIO_BROWSER"] = browser
    with ThreadPoolExecutor() as pool:
        types = pool.submit(call, PYTHON, "-m", "mypy")
        results = {
            "ruff check .": call(PYTHON, "-m", "ruff", "check", "."),
            "ruff format --check .": call(PYTHON, "-m", "ruff", "format", "--check", "."),
            "pytest": call(PYTHON, "-m", "pytest", *workers(), *flags),
            "mypy": types.result(),
        }
    failed = [step for step, code in results.items() if code != 0]
    if browser is None and in_ci():
        failed.append("no Chromium, so the page was not tested")
    for what in failed:
        print("failed: " + what)
    return 1 if failed else 0


def workers() -> tuple[str, ...]:
    """Flags of pytest: on several cores tests run beside each other, those of one file in order in one process."""
    count = min(4, os.cpu_count() or 1)
    return ("-n", str(count), "--dist", "loadfile", "--no-loadscope-reorder") if count > 1 else ()


def in_ci() -> bool:
    """Whether nobody reads along, so that what could not be tested must count as failed."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def find_browser(system: bool) -> str | None:
    """A Chromium for the page tests: one that is here, else one to be installed. "": Playwright's own, which it finds
    by itself; None: there is none, which has been said."""
    if found := installed_browser():
        return found
    if system and apt_install("chromium", "the tests of the page need a browser") and (found := installed_browser()):
        return found
    # --with-deps uses apt-get, as root; without it the machine must have the libraries.
    deps = ("--with-deps",) if system and may_apt() else ()
    if deps:
        print("Installing the libraries that Playwright's Chromium needs with apt-get.", flush=True)
    if call(PYTHON, "-m", "playwright", "install", *deps, "chromium") == 0:
        return ""
    print("There is no Chromium: the tests of the page cannot run. Install chromium and run this again.", flush=True)
    return None


def installed_browser() -> str | None:
    """Path of a Chromium that really starts (on Ubuntu the command may only point at a snap)."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def apt_install(package: str, why: str) -> bool:
    """Install a Debian package where that is possible without asking anybody; says so first."""
    if not may_apt():
        return False
    print(f"Installing {package} with apt-get: {why}. --no-system prevents this.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def may_apt() -> bool:
    """Whether apt-get can install something here."""
    return is_root() and shutil.which("apt-get") is not None


def is_root() -> bool:
    """True for root on POSIX."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def call(*command: str | Path) -> int:
    """Run in the project's folder; the exit status."""
    try:
        return subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:  # Ctrl-C reaches the child too, which ends in its own way
        return 130


def replace_by(*command: str | Path) -> int:
    """Become the command, so that stopping this process stops it; on Windows, which cannot, wait for it."""
    if os.name == "nt":
        return call(*command)
    os.chdir(ROOT)
    words = [str(word) for word in command]
    os.execv(words[0], words)


def check(*command: str | Path) -> None:
    """Run, and leave with the same status when it fails."""
    status = call(*command)
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
