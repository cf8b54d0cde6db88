"""One file from the first of its addresses that gives it whole: resumed, checked, and under its name only then.

A download goes to NAME.part, and NAME.part.json says from where, so that it continues where it stopped. The usual
variables http_proxy, https_proxy and no_proxy are respected; HF_TOKEN is sent to the hub alone, never to where it
redirects, and HF_ENDPOINT takes the hub's place. With HF_HUB_OFFLINE nothing is tried.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from gan_core.errors import BadCheckpoint, Cancelled, WeightsMissing
from weights.entry import PublishedFile

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known
Stop = Callable[[], bool]  # whether to give up

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
TRIES = 4  # of one address, as long as each brings bytes or the server asks to wait
LONGEST_WAIT = 60.0  # seconds that a server may ask for
_PAGE = 1 << 20  # bytes of a web page that are read
_HUB = "https://huggingface.co"
_YES = ("1", "true", "yes", "on")


class _Gone(Exception):
    """This address does not give the file; the next one may."""


class _Wait(Exception):
    """The server asks to come back later."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the server is busy and asks to wait {seconds:.0f} seconds")
        self.seconds = seconds


def is_offline() -> bool:
    """Whether the environment forbids the network (HF_HUB_OFFLINE)."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _YES


def fetch_file(
    entry: PublishedFile, path: Path, progress: Progress | None = None, *, stop: Stop = lambda: False
) -> Path:
    """Download one file to `path`, continuing a partial download, and check it.

    Raises:
        WeightsMissing: offline, no address gives it, or the disk is full or read-only.
        BadCheckpoint: every address that answered gave other bytes than were published; they are removed.
        Cancelled: `stop` said so; the partial file stays, to be continued.
    """
    if is_offline():
        raise WeightsMissing(f"{entry.file} was not fetched: the app is offline (start it with --no-offline).")
    if not entry.sources:
        raise WeightsMissing(f"{entry.file} has no address that a program can fetch; get it by hand.")
    partial = path.with_name(path.name + ".part")
    complaints: list[str] = []
    wrong = 0
    for url in entry.sources:
        host = urllib.parse.urlsplit(url).hostname or url
        try:
            _from(url, entry, partial, progress, stop)
            _check(entry, partial)
        except BadCheckpoint as error:
            wrong += 1
            _forget(partial)
            complaints.append(f"{host}: {error}")
        except (_Gone, _Wait, OSError, http.client.HTTPException, ValueError) as error:
            complaints.append(f"{host}: {_reason(error)}")
        else:
            os.replace(partial, path)
            _note(partial).unlink(missing_ok=True)
            return path
    message = f"{entry.file} could not be fetched. " + "; ".join(complaints) + "."
    if wrong == len(entry.sources):
        raise BadCheckpoint(f"{message} What came was removed.")
    raise WeightsMissing(f"{message} Run it again to continue.")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return str(reason if reason is not None else error) or type(error).__name__


def _check(entry: PublishedFile, partial: Path) -> None:
    """Raises BadCheckpoint if these are not the published bytes."""
    size, digest = partial.stat().st_size, sha256_of(partial)
    if entry.bytes is not None and size != entry.bytes:
        raise BadCheckpoint(f"it has other content than was published ({size} bytes instead of {entry.bytes})")
    if entry.sha256 is not None and digest != entry.sha256:
        raise BadCheckpoint("it has other content than was published (its sha256 differs)")
    if _is_page(partial):
        raise BadCheckpoint("it is a web page, not the file")
    if entry.sha256 is None:
        logger.info("%s: no published hash to compare with; sha256 is %s", entry.file, digest)


def _is_page(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(512).lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<?xml"))


# ---------------------------------------------------------------- one address


def _from(url: str, entry: PublishedFile, partial: Path, progress: Progress | None, stop: Stop) -> None:
    """All bytes from one address into `partial`, over as many connections as it takes."""
    _start(url, entry, partial)
    stuck = 0
    while True:
        before = _size(partial)
        try:
            _once(url, entry, partial, progress, stop)
            return
        except _Wait as error:
            stuck += 1
            if stuck >= TRIES or error.seconds > LONGEST_WAIT:
                raise
            _sleep(error.seconds, stop)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) or _no_room(error):
                raise
            stuck = 0 if _size(partial) > before else stuck + 1
            if stuck >= TRIES - 1:
                raise
            logger.info("%s: %s; it is continued", entry.file, _reason(error))
            _sleep(min(2.0**stuck - 1, 5.0), stop)


def _no_room(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (13, 28, 30, 122)  # not allowed, full, read-only, quota


def _sleep(seconds: float, stop: Stop) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stop():
            raise Cancelled("The download was stopped.")
        time.sleep(min(0.2, max(0.0, end - time.monotonic())))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _note(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _note(partial).unlink(missing_ok=True)


def _start(url: str, entry: PublishedFile, partial: Path) -> None:
    """Keep what is here only if this address must give the same bytes."""
    note = _read_note(partial)
    longer = entry.bytes is not None and _size(partial) > entry.bytes
    if longer or (not entry.fixed and note.get("url") not in (None, url)):
        _forget(partial)
        note = {}
    if note.get("url") != url:
        note = {"url": url}  # the mark of another address's version says nothing here
    partial.parent.mkdir(parents=True, exist_ok=True)
    _note(partial).write_text(json.dumps(note))


def _read_note(partial: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note(partial).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _request(url: str, start: int = 0, mark: str | None = None) -> urllib.request.Request:
    endpoint = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    on_hub = url.startswith((_HUB + "/", endpoint + "/"))
    if url.startswith(_HUB + "/"):
        url = endpoint + url[len(_HUB) :]
    request = urllib.request.Request(url, headers={"User-Agent": "gan-studio", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if mark:
            request.add_header("If-Range", mark)
    token = os.environ.get("HF_TOKEN")
    if on_hub and token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _open(request: urllib.request.Request) -> Any:
    try:
        return urllib.request.build_opener().open(request, timeout=TIMEOUT)  # reads the proxies' variables anew
    except urllib.error.HTTPError as error:
        if error.code in (429, 503):
            raise _Wait(_retry_after(error.headers.get("Retry-After"))) from error
        if error.code in (401, 403):
            raise _Gone(f"it is not given to programs, or only to those who are signed in ({error.code})") from error
        if error.code != 416:
            raise _Gone(f"it is not there any more ({error.code} {error.reason})") from error
        raise


def _retry_after(value: str | None) -> float:
    return float(value) if value and re.fullmatch(r"\d{1,6}", value.strip()) else 5.0


def _once(url: str, entry: PublishedFile, partial: Path, progress: Progress | None, stop: Stop) -> None:
    have, note = _size(partial), _read_note(partial)
    if entry.bytes is not None and have == entry.bytes:
        return
    try:
        response = _open(_request(url, have, note.get("mark")))
    except urllib.error.HTTPError as error:  # 416, the range starts at the end: all bytes are here
        if have:
            return
        raise _Gone("the server does not give the file") from error
    if (response.headers.get_content_type() or "") == "text/html":
        with response:
            confirmed = confirmation(response.read(_PAGE).decode("utf-8", "replace"), response.url)
        if confirmed is None:
            raise _Gone("it gave a web page, not the file; get it by hand in a browser")
        response = _open(_request(confirmed, have, note.get("mark")))
        if (response.headers.get_content_type() or "") == "text/html":
            response.close()
            raise _Gone("it asks to confirm again and again; get the file by hand in a browser")
    with response:
        have = have if have and _continues(response, have) else 0
        total = _total(response, have)
        if total is not None and entry.bytes is not None and total != entry.bytes:
            raise BadCheckpoint(f"it offers {total} bytes where {entry.bytes} were published")
        room = shutil.disk_usage(partial.parent).free
        if total is not None and total - have > room:
            raise _Gone(f"the disk has room for {room / 1e6:.0f} MB only")
        mark = response.headers.get("ETag")
        _note(partial).write_text(json.dumps({"url": url} | ({"mark": mark} if mark and mark[:2] != "W/" else {})))
        with open(partial, "ab" if have else "wb") as file:
            while chunk := response.read1(CHUNK):  # what is there, so that a slow server can be stopped too
                if total is not None and have + len(chunk) > total:
                    raise BadCheckpoint("it sends more than it said")
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(have, total if total is not None else entry.bytes)
                if stop():
                    raise Cancelled("The download was stopped; it can be continued.")
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _continues(response: Any, have: int) -> bool:
    """Whether the answer goes on where the partial file ends; a server that knows no ranges sends all of it again."""
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", f"bytes {have}-"))
    return response.status == 206 and stated is not None and int(stated.group(1)) == have


def _total(response: Any, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


class _Form(HTMLParser):
    """The first form of a page: where it goes and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag's attributes."""
        named = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = named.get("action")
        elif tag == "input" and named.get("type") == "hidden" and named.get("name"):
            self.fields[str(named["name"])] = named.get("value") or ""


def confirmation(page: str, url: str) -> str | None:
    """Where Google Drive's page "too large to be scanned" leads when it is confirmed; None for any other page.

    Only a form that goes back to the same site, with the file's id in it, is followed.
    """
    form = _Form()
    form.feed(page)
    if form.action is None or "id" not in form.fields or "confirm" not in form.fields:
        return None
    target = urllib.parse.urljoin(url, form.action)
    ours, theirs = urllib.parse.urlsplit(url), urllib.parse.urlsplit(target)
    google = all((part.hostname or "").endswith((".google.com", ".googleusercontent.com")) for part in (ours, theirs))
    if theirs.scheme not in ("http", "https") or not (google or ours.netloc == theirs.netloc):
        return None
    return urllib.parse.urlunsplit(theirs._replace(query=urllib.parse.urlencode(form.fields)))


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
