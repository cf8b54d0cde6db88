"""Start the app: `python app.py --help`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from demo import settings as settings_module
from demo.memory import share_heaps

logger = logging.getLogger("app")

_SPARE_THREADS = 24  # for what is answered at once; each request that waits for its turn keeps one


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the settings, put the studio together, show the page, and serve until stopped."""
    settings = settings_module.read(arguments)
    settings_module.export(settings)
    share_heaps()

    # Gradio reads its environment when it is imported, so only now.
    from starlette.middleware import Middleware

    from demo import live
    from demo.assistants import send_every_picture
    from demo.context import assemble
    from demo.layout import build_page, launch_options
    from demo.logs import set_up_logs
    from demo.monitoring import endpoints
    from demo.page_cache import PageCache
    from demo.refusals import Refusals
    from demo.texts import translated
    from gan_core.errors import StudioError
    from weights.catalogue import FOLDER

    set_up_logs(settings.log_format)
    logger.info("%s", settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that `finally` runs
    try:
        studio = assemble(settings)
    except StudioError as error:
        raise SystemExit(str(error)) from error
    try:
        # Gradio's own queue is never full: `demo.turns` decides who is let in, and says when to come back.
        page = build_page(studio)
        i18n = translated(page)
        page.queue(max_size=4 * settings.limits.requests, default_concurrency_limit=4)
        page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            root_path=settings.root_path,
            auth=settings.auth,
            max_file_size=settings.max_upload,
            max_threads=settings.limits.requests + _SPARE_THREADS,
            blocked_paths=[str(FOLDER), str(settings.weights)],
            show_error=False,
            footer_links=["api", "settings"],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=True,
            mcp_server=settings.mcp,
            quiet=True,
            i18n=i18n,
            prevent_thread_lock=True,
            app_kwargs={
                "routes": [*endpoints(studio, metrics=settings.metrics), *live.routes()],
                "middleware": [
                    Middleware(Refusals, max_upload=settings.max_upload, mcp=settings.mcp),
                    *([] if settings.auth else [Middleware(PageCache)]),
                ],
            },
            **launch_options(),
        )
        send_every_picture(page)
        logger.info("open %s", page.local_url)
        studio.start_background()
        page.block_thread()
    finally:
        studio.close()


if __name__ == "__main__":
    main(sys.argv[1:])
