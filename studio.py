#!/usr/bin/env python3
"""Set up and run, on a fresh machine with nothing but Python 3.10 or newer:

    python3 studio.py run [flags of app.py]     installs into .venv, then starts the app
    python3 studio.py test [flags of pytest]    the same, then lint, format check and all tests

Only the standard library is used here. Installing is skipped while requirements.txt is unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def main(arguments: list[str]) -> int:
    """Returns the exit status of what was run."""
    if sys.version_info < (3, 10):  # noqa: UP036 (this is the check itself)
        print("Python 3.10 or newer is needed; this is " + sys.version.split()[0])
        return 1
    command, flags = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command == "run":
        install()
        return replace_by(PYTHON, "app.py", *flags)
    if command == "test":
        install()
        return test(flags)
    print(__doc__)
    return 0 if command in ("-h", "--help") else 2


def install() -> None:
    """Make .venv and install requirements.txt into it, unless that was done for these very lines."""
    lines = (ROOT / "requirements.txt").read_bytes()
    stamp = hashlib.sha256(lines + sys.version.encode()).hexdigest()
    if PYTHON.is_file() and STAMP.is_file() and STAMP.read_text() == stamp:
        return
    print("Installing into .venv: a few minutes the first time, mostly PyTorch.", flush=True)
    if not PYTHON.is_file():
        make_venv()
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check")
    check(*pip, "install", "--quiet", "--upgrade", "pip")
    check(*pip, "install", "--prefer-binary", "-r", "requirements.txt")
    STAMP.write_text(stamp)


def make_venv() -> None:
    """Debian and Ubuntu split venv from Python: where it is missing, install it if that is allowed."""
    if call(sys.executable, "-m", "venv", str(VENV)) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not apt_install(package):
        raise SystemExit(f"Python's venv module is missing. Install it ({package}) and run this again.")
    check(sys.executable, "-m", "venv", str(VENV))


def test(flags: list[str]) -> int:
    """Lint, format check and tests; all three run even when one fails."""
    browser = find_browser()
    if browser:
        os.environ["STUDIO_BROWSER"] = browser
    steps = (
        (PYTHON, "-m", "ruff", "check", "."),
        (PYTHON, "-m", "ruff", "format", "--check", "."),
        (PYTHON, "-m", "pytest", *flags),
    )
    failed = [step for step in steps if call(*step) != 0]
    for step in failed:
        print("failed: " + " ".join(str(word) for word in step[1:]))
    return 1 if failed else 0


def find_browser() -> str | None:
    """A Chromium for the page tests: one that is here, else installed; None: Playwright brings its own."""
    if found := installed_browser():
        return found
    if apt_install("chromium") and (found := installed_browser()):
        return found
    # --with-deps needs root; without it the machine must have the libraries.
    deps = ("--with-deps",) if is_root() else ()
    call(PYTHON, "-m", "playwright", "install", *deps, "chromium")
    return None


def installed_browser() -> str | None:
    """Path of a Chromium that really starts (on Ubuntu the command may only point at a snap)."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def apt_install(package: str) -> bool:
    """Install a Debian package where that is possible without asking anybody."""
    if not (is_root() and shutil.which("apt-get")):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return subprocess.run(command, env=environment, check=False).returncode == 0


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
