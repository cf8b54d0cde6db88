"""The Models page: layout and wiring. See `keeper.py` for the work and `rights.py` for who may ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.models_page import lists
from demo.models_page.keeper import Keeper
from demo.models_page.rights import check, rights_of
from demo.parts.errors import guarded
from demo.parts.send_to import TabHandle
from demo.parts.tab import Tab
from gan_core.checkpoints.places import Place, installed, remove
from gan_core.errors import BadValue
from weights.published import PUBLISHED, published

_LEAD = (
    "The authors' own models, beside the embedded ones. None comes with the app: each is fetched, or given by you, "
    "under its own licence, read as numbers only and kept as safetensors."
)
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
_QUEUED: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
_READING: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 1}
_STYLE = """<style>
.models-table { overflow-x: auto; } .models-table td, .models-table th { text-align: left; padding: 4px 10px;
vertical-align: top; } .model-facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; }
.model-facts dd { margin: 0; overflow-wrap: anywhere; }
.model-job progress { width: 100%; accent-color: var(--color-accent); }
.model-job.failed { border-left: 3px solid #b91c1c; padding-left: 8px; }
.model-job.well { border-left: 3px solid #15803d; padding-left: 8px; }
</style>"""


class ModelsPage:
    """The page's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        settings = studio.settings
        self.studio, self.root = studio, settings.weights
        self.rights = rights_of(settings)
        self.keeper = Keeper(settings.weights, offline=settings.offline, changed=studio.models_changed)
        self.models = {model.name: model for model in PUBLISHED}

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab and wire it."""
        self._lay_out()
        self._connect()
        return TabHandle(tab_id, label, None, None, gr.Row(visible=False))

    # ------------------------------------------------------------ layout

    def _lay_out(self) -> None:
        may, settings = self.rights.change, self.studio.settings
        gr.HTML(_STYLE)
        gr.Markdown(_LEAD, elem_classes="lead")
        self.disk = gr.HTML(lists.disk_line(self.root), elem_id="models-disk")
        if self.rights.why:
            gr.Markdown(self.rights.why, elem_id="models-why")
        self.job = gr.HTML(lists.progress(self.keeper.status), elem_id="models-job")
        self.stop = gr.Button("Stop", visible=False, elem_id="models-stop", size="sm")
        gr.Markdown("### Installed")
        found = installed(self.root)
        self.table = gr.HTML(lists.installed_table(found, self.models), elem_id="models-installed")
        with gr.Row(visible=may, equal_height=True):
            self.removed = gr.Dropdown(_choices(found), label="Remove a model", elem_id="models-removed", scale=3)
            self.remove = gr.Button("Remove from this machine", elem_id="models-remove", scale=1)
        gr.Markdown("### Fetch a model")
        choices = lists.fetch_choices(self.root)
        self.choice = gr.Dropdown(
            choices, value=choices[0][1] if choices else None, label="Model", elem_id="models-choice"
        )
        self.facts = gr.HTML(self._facts(choices[0][1] if choices else None), elem_id="models-facts")
        if settings.offline:
            gr.Markdown(
                "The app was started offline (the default), so nothing is fetched: start it with `--no-offline`."
            )
        self.accept = gr.Checkbox(label="I have read the licence and accept it", visible=may, elem_id="models-accept")
        self.fetch = gr.Button(
            "Fetch", variant="primary", visible=may, interactive=not settings.offline, elem_id="models-fetch"
        )
        with gr.Column(visible=may):
            gr.Markdown("### I already have the file")
            gr.Markdown(
                "Whatever it is called, it is told by its tensors, checked, and converted once. Uploads may have "
                f"{lists.size(settings.max_upload)} (`--max-upload`); a file on this machine may have any size."
            )
            self.upload = gr.File(label="Upload a checkpoint", type="filepath", elem_id="models-upload")
            self.path = gr.Textbox(
                label="Or its path on this machine", visible=self.rights.name_paths, elem_id="models-path"
            )
            self.look = gr.Button("Look at it", elem_id="models-look")
            self.found = gr.Markdown(elem_id="models-found")
            self.place = gr.Dropdown([], label="It is", visible=False, elem_id="models-place")
            self.given_facts = gr.HTML(visible=False)
            self.given_accept = gr.Checkbox(
                label="I have read its licence and accept it", visible=False, elem_id="models-given-accept"
            )
            self.install = gr.Button("Install", variant="primary", visible=False, elem_id="models-install")
        self.timer = gr.Timer(1.0, active=False)

    def _connect(self) -> None:
        shown = [self.job, self.stop, self.timer]
        lists_of = [self.table, self.removed, self.choice]
        self.choice.change(self.on_choice, self.choice, [self.facts, self.accept], **_QUIET)
        self.fetch.click(guarded(self.on_fetch), [self.choice, self.accept], shown, **_QUEUED)
        self.stop.click(guarded(self.on_stop), None, shown, **_QUEUED)
        chosen = [self.removed, self.choice]
        self.timer.tick(self.on_tick, chosen, [*shown, *lists_of], **_QUIET)
        self.look.click(
            guarded(self.on_look),
            [self.upload, self.path],
            [self.found, self.place, self.given_facts, self.given_accept, self.install],
            **_READING,
        )
        self.place.change(
            lambda key: self._facts(_place(key).entry if key else None), self.place, self.given_facts, **_QUIET
        )
        given = [self.upload, self.path, self.place, self.given_accept]
        self.install.click(guarded(self.on_install), given, [*shown, self.upload], **_QUEUED)
        self.remove.click(guarded(self.on_remove), chosen, [*shown, *lists_of], **_QUEUED)

    # ------------------------------------------------------------ handlers

    def on_fetch(self, name: str | None, accepted: bool, request: gr.Request) -> tuple[Any, ...]:
        """Start fetching."""
        self._check(request)
        if not name:
            raise BadValue("Choose a model first.")
        self.keeper.fetch(self._model(name), bool(accepted))
        return self._shown()

    def on_stop(self, request: gr.Request) -> tuple[Any, ...]:
        """Stop the job that runs."""
        self._check(request)
        self.keeper.cancel()
        return self._shown()

    def on_tick(self, removed: str | None, choice: str | None) -> tuple[Any, ...]:
        """How far the job is; once it has ended, the lists anew."""
        status = self.keeper.status
        if status and status.running:
            return (*self._shown(), gr.skip(), gr.skip(), gr.skip())
        return (*self._shown(), *self._lists(removed, choice))

    def on_look(self, upload: str | None, path: str, request: gr.Request) -> tuple[Any, ...]:
        """Say what a file is."""
        file, name = self._file(upload, path, request)
        from gan_core.checkpoints.library import recognise

        found = recognise(file, name)
        choices = [(place.label, _key(place)) for place in found.places]
        any_place = bool(choices)
        text = found.what
        if any_place and not found.sure:
            text += " Networks of this shape are the same in several models: say which it is."
        value = choices[0][1] if choices else None
        return (
            text,
            gr.Dropdown(choices, value=value, visible=any_place),
            gr.HTML(self._facts(found.places[0].entry) if any_place else "", visible=any_place),
            gr.Checkbox(value=False, visible=any_place),
            gr.Button(visible=any_place),
        )

    def on_choice(self, name: str | None) -> tuple[str, bool]:
        """What is to be known of a model; the tick was for another licence."""
        return self._facts(name), False

    def on_place(self, key: str | None) -> tuple[str, bool]:
        """The same of the model that a file is said to be."""
        return self.on_choice(_place(key).entry if key else None)

    def on_install(
        self, upload: str | None, path: str, key: str | None, accepted: bool, request: gr.Request
    ) -> tuple[Any, ...]:
        """Start converting the file that was looked at; an upload is deleted afterwards."""
        file, name = self._file(upload, path, request)
        if not key:
            raise BadValue("Have the file looked at first.")
        place = _place(key)
        self._model(place.entry)

        def after() -> None:
            if not path.strip():
                file.unlink(missing_ok=True)

        self.keeper.install(file, place, bool(accepted), name=name, after=after)
        return (*self._shown(), gr.skip() if path.strip() else None)

    def on_remove(self, key: str | None, choice: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Delete a model's files."""
        self._check(request)
        if not key:
            raise BadValue("Choose the model to remove first.")
        freed = remove(_place(key), self.root)
        gone = self.studio.models_changed(_place(key).entry)
        until = "" if gone else " The app uses it until it is started again."
        gr.Info(f"{_place(key).label} was removed, {lists.size(freed)}.{until}")
        return (*self._shown(), *self._lists(None, choice))

    # ------------------------------------------------------------ helpers

    def _check(self, request: gr.Request, *, path: bool = False) -> None:
        check(self.rights, request.client.host if request.client else None, dict(request.headers), path=path)

    def _file(self, upload: str | None, path: str, request: gr.Request) -> tuple[Path, str]:
        """The file that is meant, a named path before an upload, and what it was called."""
        named = (path or "").strip()
        self._check(request, path=bool(named))
        if named:
            file = Path(named).expanduser()
            if not file.is_file():
                raise BadValue("There is no such file on this machine.")
            return file, file.name
        if not upload:
            raise BadValue("Choose a file to upload, or name one on this machine.")
        self.studio.sessions.get(request.session_hash).own_upload(upload)
        return Path(upload), Path(upload).name

    def _model(self, name: str) -> Any:
        if name not in self.models:
            raise BadValue("There is no such model.")
        return self.models[name]

    def _facts(self, name: str | None) -> str:
        return lists.facts(published(name), self.root) if name in self.models and name else ""

    def _shown(self) -> tuple[Any, ...]:
        status = self.keeper.status
        running = bool(status and status.running)
        return lists.progress(status), gr.Button(visible=running), gr.Timer(active=running)

    def _lists(self, removed: str | None, choice: str | None) -> tuple[Any, ...]:
        """The table and both menus anew; what is chosen in them stays chosen while it is there."""
        found, choices = installed(self.root), lists.fetch_choices(self.root)
        here, names = _choices(found), [name for _, name in choices]
        return (
            lists.installed_table(found, self.models),
            gr.Dropdown(here, value=removed if removed in [key for _, key in here] else None),
            gr.Dropdown(choices, value=choice if choice in names else next(iter(names), None)),
        )


def _key(place: Place) -> str:
    return f"{place.entry}/{place.part}"


def _place(key: str) -> Place:
    entry, _, part = key.partition("/")
    return Place(entry, part)


def _choices(found: list[Any]) -> list[tuple[str, str]]:
    return [(here.place.label, _key(here.place)) for here in found]


TAB = Tab("models", "Models", ModelsPage)
