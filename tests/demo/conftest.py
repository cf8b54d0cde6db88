"""Really started servers and a real browser for the tests of the page and the API."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.demo import forked

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-gpu-rasterization",  # Debian's launcher turns it on: without a GPU it costs a tenth of a page test
    "--process-per-site",  # a page's scripts are compiled already where another one ran before: see `context`
]  # fmt: skip


# The picture editor draws itself anew in every frame: half a core without a GPU. While nothing happens two a second do.
# Only what asks for frame after frame waits. Gradio itself waits for single frames, by a promise whose resolve function
# is native code: for one between mounting components that were hidden until now and setting them to their first values
# (`mounts` of these frames are counted), and for others to measure tabs. See tests.demo.tabs.
FEWER_FRAMES = """
    const soon = window.requestAnimationFrame.bind(window);
    let last = 0;
    const seen = new WeakSet();
    const happened = () => { last = performance.now(); };
    for (const kind of ['pointermove', 'pointerdown', 'pointerup', 'keydown', 'input', 'change', 'load', 'paste'])
        window.addEventListener(kind, happened, { capture: true, passive: true });
    const changes = window.pageChanges = { count: 0 };  // for tests.demo.tabs.settle
    const changed = () => { changes.count++; };
    new MutationObserver(changed).observe(document, { subtree: true, childList: true, characterData: true });
    new PerformanceObserver(changed).observe({ type: 'resource' });
    new MutationObserver(happened).observe(document, { subtree: true, childList: true, characterData: true });
    const single = window.singleFrames = { asked: 0, came: 0, last: 0, mounts: 0 };
    window.requestAnimationFrame = draw => {
        if (String(draw).includes('[native code]')) {
            single.asked++;
            if (new Error().stack.includes('render_previously_invisible_children')) single.mounts++;
            return soon(time => {
                draw(time);
                setTimeout(() => { single.came++; single.last = performance.now(); });
            });
        }
        if (!seen.has(draw)) {
            seen.add(draw);
            return soon(draw);
        }
        return setTimeout(() => soon(draw), performance.now() - last < 1500 ? 200 : 500);
    };
"""


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    process: subprocess.Popen | forked.Forked
    log: Path
    temporary: Path
    """Where its own temporary folder lies."""
    seconds: float
    """From the start command to the first answer of the page."""
    own: frozenset[Path]
    """Files that were there before the test: copies of the examples, uploads of requests that were refused."""

    def files(self) -> list[Path]:
        """What visitors have on its disk now."""
        return [path for path in files_below(self.temporary) if path not in self.own]

    def files_after_leaving(self, seconds: float = 60) -> list[Path]:
        """`files` as soon as there are none, or after that time."""
        gc.collect()  # clients of earlier tests that nobody holds leave, too
        deadline = time.monotonic() + seconds
        while (left := self.files()) and time.monotonic() < deadline:
            time.sleep(0.3)
        return left


def files_below(folder: Path) -> list[Path]:
    """Files and folders may be deleted meanwhile."""
    return [Path(inside, name) for inside, _, names in os.walk(folder) for name in names]


@contextmanager
def started(command, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log, temporary = folder / "server.log", folder / "tmp"
    temporary.mkdir()
    # One thread: networks here are small, and tests run beside each other.
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    begin = time.monotonic()
    command = [*command, "--port", str(port)]
    if forked.may_fork(command):
        process = forked.fork(command, environment, log)
    else:
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
                preexec_fn=forked.end_with_this_process if forked.POSSIBLE else None,
            )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).read()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() - begin < 240, log.read_text()  # on a busy machine; see test_shipped.py
                time.sleep(0.1)
        seconds = time.monotonic() - begin
        yield Server(url, process, log, temporary, seconds, frozenset(files_below(temporary)))
    finally:
        process.terminate()
        process.wait(30)


MOST_SERVERS = 3  # of one process: each holds up to a gigabyte


class Servers:
    """Each started when it is first asked for, and stopped (SIGSTOP) while no test uses it: an idle Gradio looks for
    work twenty times a second, and several of them take half a core from the one that is tested. The last few are
    kept."""

    def __init__(self, folder):
        self._folder, self._running = folder, {}  # by name, the one used last at the end: (server, its context)

    @contextmanager
    def awake(self, name, *command):
        if name in self._running:
            self._running[name] = self._running.pop(name)
        else:
            while len(self._running) >= MOST_SERVERS:
                self._end(next(iter(self._running)))
            context = started(command, self._folder(name))
            self._running[name] = context.__enter__(), context
        server, _ = self._running[name]
        _signal(server.process, "SIGCONT")
        try:
            yield replace(server, own=frozenset(files_below(server.temporary)))
        finally:
            _signal(server.process, "SIGSTOP")

    def close(self):
        for name in list(self._running):
            self._end(name)

    def _end(self, name):
        server, context = self._running.pop(name)
        _signal(server.process, "SIGCONT")
        context.__exit__(None, None, None)


def _signal(process, name):
    if hasattr(signal, name):  # not on Windows
        process.send_signal(getattr(signal, name))


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp)
    yield servers
    servers.close()


@pytest.fixture
def fake_server(servers):
    """The app over the fake editor of fakes.py."""
    with servers.awake("fake", "-m", "tests.demo.fake_app") as server:
        yield server


@pytest.fixture
def papers_server(servers):
    """The app over the fake editor and the small networks of three papers: starting one takes ten seconds of processor
    time. CoModGAN has one of its own: the browser's image editor, left in the middle of sending, leaves strays."""
    with servers.awake("papers", "-m", "tests.demo.papers_app") as server:
        yield server


@pytest.fixture
def comodgan_server(servers):
    """The app over the fake editor and the small networks of comodgan/fakes.py."""
    with servers.awake("comodgan", "-m", "tests.demo.comodgan.fake_app") as server:
        yield server


@pytest.fixture
def zero_gpu_server(servers):
    """The app over the fake editor and the small random generators, as on a ZeroGPU Space."""
    with servers.awake("zero-gpu", "-m", "tests.demo.zero_gpu_app") as server:
        yield server


@pytest.fixture
def server(servers):
    """The app as it is shipped."""
    with servers.awake("real", "app.py") as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium: STUDIO_BROWSER, the system's, or Playwright's own."""
    from playwright.sync_api import Error, sync_playwright

    system = os.environ.get("STUDIO_BROWSER") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").is_file() else None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=system, args=FLAGS)
        except Error as error:
            if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
                pytest.fail(f"There is no Chromium, so the page cannot be tested: {error}")
            pytest.skip(f"no Chromium: {error}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def context(browser):
    """One for all tests: a browser that has seen the page before has fetched its scripts already."""
    # Half as many pixels each way: drawing them, the picture editor's above all, is done on the CPU.
    context = browser.new_context(accept_downloads=True, reduced_motion="reduce", device_scale_factor=0.5)
    context.add_init_script(FEWER_FRAMES)
    context.set_default_timeout(120_000)  # a busy machine takes its time, a broken page takes for ever
    # An empty page of the servers' site that stays: its process is the one of all pages, and has their scripts compiled
    # (a quarter of what opening one takes).
    empty = context.new_page()
    empty.route("**/*", lambda route: route.fulfill(content_type="text/html", body=""))
    empty.goto("http://127.0.0.1/")
    yield context
    context.close()


class Pages:
    """Opens pages and listens for what must not happen on them."""

    def __init__(self, context):
        self._context, self.opened, self.complaints = context, [], []

    def open(self, url, width=1280, height=900):
        page = self._context.new_page()
        self.opened.append(page)
        page.set_viewport_size({"width": width, "height": height})

        def on_console(message):
            if message.type == "error":
                self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

        origin = "/".join(url.split("/")[:3])

        def on_request(request):
            if not request.url.startswith((origin, "data:", "blob:")):
                self.complaints.append(f"request to {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", on_request)
        page.goto(url)
        page.wait_for_selector("#hfgi-photo input[type=file]", state="attached")
        page.wait_for_selector("body[data-listening]")  # keys and pasting work from here on
        return page

    def close(self):
        for page in self.opened:
            page.close()
        self.opened.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where a test of the page fails, what its pages say at that moment is in the report."""
    report = yield
    if report.failed and call.when == "call" and "context" in item.funcargs:
        for page in item.funcargs["context"].pages[1:]:  # the first is the empty one
            said = "\n".join(line for line in _said_by(page).splitlines() if line.strip())
            report.sections.append((f"What {page.url} says", said[:3000]))
    return report


def _said_by(page) -> str:
    from playwright.sync_api import Error

    try:
        return page.evaluate("document.body.innerText")
    except Error as error:  # crashed, say: the report of the test itself must not be lost for it
        return f"nothing: {error}"


@pytest.fixture
def open_page(context):
    """open_page(url) -> page; at the end: no console error, no page error, no request to anywhere else."""
    pages = Pages(context)
    yield pages.open
    pages.close()
    if len(context.pages) == 1:  # the empty one: a kept one is still known by its cookies
        context.clear_cookies()
    assert pages.complaints == []


@pytest.fixture(scope="module")
def _kept(context):
    pages = Pages(context)
    yield pages
    pages.close()
    context.clear_cookies()


@pytest.fixture
def keep_page(_kept, request):
    """keep_page(url) -> (page, whether it was opened now): one for all tests of a file, as opening it takes seconds of
    processor time. Who asks for it puts it back first; after a test that failed it is another one. Complaints are
    looked for after each test."""
    failed = request.session.testsfailed
    _kept.complaints.clear()

    def keeper(url):
        left = [page for page in _kept.opened if not page.is_closed()]
        return (left[0], False) if left else (_kept.open(url), True)

    yield keeper
    if request.session.testsfailed != failed or _kept.complaints:
        _kept.close()
    assert _kept.complaints == []
