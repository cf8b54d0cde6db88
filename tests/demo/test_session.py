"""Nothing of a visitor stays: files, uploads, results."""

import threading

import pytest

from demo.session import Sessions
from gan_core.errors import Cancelled


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path / "root")


def upload(sessions, name="photo.png"):
    """A file as Gradio keeps it: below root, in a folder named by its hash."""
    folder = sessions.root / "0123abcd"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"x")
    return path


def test_everything_goes_with_the_visitor(sessions):
    session = sessions.get("a")
    session.new_file("after", ".jpg").write_bytes(b"x")
    session.own_upload(upload(sessions))
    session.keep("photo", object(), 100)
    assert sessions.kept_bytes() == 100 and len(list(sessions.root.rglob("*"))) == 4
    sessions.delete("a")
    assert list(sessions.root.rglob("*")) == [] and sessions.kept_bytes() == 0 and len(sessions) == 0
    sessions.delete("a")


def test_same_upload_of_two_visitors_stays_for_the_second(sessions):
    path = upload(sessions)
    for name in ("a", "b"):
        sessions.get(name).own_upload(path)
        sessions.get(name).own_upload(path)
    sessions.delete("a")
    assert path.exists()
    sessions.delete("b")
    assert not path.exists()


def test_the_same_picture_uploaded_again_while_a_visitor_leaves_stays(sessions):
    """After a page is loaded anew: the old page's session ends between the new page's upload and its first reading."""
    path = upload(sessions)
    sessions.get("old page").own_upload(path)
    again = path.with_name("coming")
    again.write_bytes(b"x")
    again.replace(path)  # as Gradio moves an upload into its place
    sessions.delete("old page")
    assert path.exists()
    sessions.get("new page").own_upload(path)
    sessions.get("new page").own_upload(path)
    sessions.delete("new page")
    assert not path.parent.exists()


def test_uploads_that_nothing_asked_for_go_in_time(sessions):
    stray, owned, example = (upload(sessions, name) for name in ("layer_0.png", "photo.png", "example.jpg"))
    sessions.shared.add(example)
    session = sessions.get("a")
    session.own_upload(owned)
    made = session.new_file("after", ".jpg")
    made.write_bytes(b"x")
    sessions.delete_orphans()
    assert stray.exists()  # it may be on its way to a handler
    sessions.delete_orphans(older_than=-1)
    assert not stray.exists() and owned.exists() and example.exists() and made.exists()
    sessions.shared.clear()
    sessions.delete("a")
    sessions.delete_orphans(older_than=-1)
    assert list(sessions.root.rglob("*")) == []


def test_only_uploads_are_deleted(sessions, tmp_path):
    outside = tmp_path / "precious.txt"
    outside.write_text("x")
    example = upload(sessions, "example.jpg")
    sessions.shared.add(example)
    for path in (outside, example, "../../etc/passwd"):
        sessions.get("a").own_upload(path)
    sessions.delete("a")
    assert outside.exists() and example.exists()


def test_session_names_are_not_paths(sessions):
    for name in ("../../x", "/etc", "", None, "a/b"):
        session = sessions.get(name)
        assert session.folder.parent == sessions.root
        sessions.delete(name)


def test_idle_sessions_are_swept(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("demo.session.time.monotonic", lambda: now[0])
    sessions = Sessions(tmp_path, idle=100)
    old = sessions.get("old")
    now[0] = 90
    sessions.get("new")
    now[0] = 120
    sessions.sweep()
    assert len(sessions) == 1 and not old.folder.exists() and old.closed


def test_results_beyond_the_limit_go_least_recently_used_first(tmp_path):
    sessions = Sessions(tmp_path, max_bytes=100)
    a, b = sessions.get("a"), sessions.get("b")
    a.keep(1, "one", 40)
    b.keep(1, "two", 40)
    assert a.recall(1) == "one"
    b.keep(2, "three", 40)
    assert (a.recall(1), b.recall(1), b.recall(2)) == ("one", None, "three")
    a.keep(1, "larger", 60)
    assert sessions.kept_bytes() == 100
    a.keep(9, "huge", 1000)
    assert a.recall(9) == "huge" and sessions.kept_bytes() == 1000


def test_large_results_of_one_kind_have_a_limit_of_their_own(tmp_path):
    sessions = Sessions(tmp_path, max_bytes=1000)
    a, b = sessions.get("a"), sessions.get("b")
    a.keep(("photo", 1), "photo", 90)
    a.keep_some(("hole", 1), "first", 40, most=100)
    b.keep_some(("hole", 1), "second", 40, most=100)
    assert a.recall(("hole", 1)) == "first"
    b.keep_some(("hole", 2), "third", 40, most=100)
    kept = [a.recall(("hole", 1)), b.recall(("hole", 1)), b.recall(("hole", 2)), a.recall(("photo", 1))]
    assert kept == ["first", None, "third", "photo"]
    a.keep_some(("hole", 3), "huge", 500, most=100)
    assert a.recall(("hole", 3)) == "huge" and sessions.kept_bytes() == 590


def test_old_previews_are_dropped(sessions):
    session = sessions.get("a")
    for _ in range(40):
        session.new_file("after", ".jpg").write_bytes(b"x")
    assert len(list(session.folder.iterdir())) == 24


def test_work_in_flight_after_the_page_was_closed(sessions):
    session = sessions.get("a")
    sessions.delete("a")
    with pytest.raises(Cancelled):
        session.new_file("after", ".jpg")
    session.keep(1, "late", 10)
    session.own_upload(upload(sessions))
    assert sessions.kept_bytes() == 0 and not session.uploads


def test_many_threads(sessions):
    def visit(name):
        for index in range(50):
            session = sessions.get(name)
            session.keep(index % 3, index, 10)
            session.recall(index % 3)
            if index % 10 == 9:
                sessions.delete(name)

    threads = [threading.Thread(target=visit, args=(str(n % 4),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    sessions.close()
    assert sessions.kept_bytes() == 0 and list(sessions.root.iterdir()) == []


def test_stopping_a_job_that_waits_leaves_the_running_one_alone(sessions):
    """Two jobs of one visitor through one queue, as Gradio has it: the second is stopped before its turn."""
    session, steps, ended = sessions.get("a"), [], []
    first_runs, may_go_on = threading.Event(), threading.Event()

    def run(name):
        job = session.job(name)
        for step in range(3):
            if job.stopped:
                break
            steps.append((name, step))
            first_runs.set()
            assert may_go_on.wait(5)
        ended.append((name, job.stopped))

    for name in ("video", "grid"):
        session.job(name).ask()
    queue = threading.Thread(target=lambda: [run(name) for name in ("video", "grid")])
    queue.start()
    assert first_runs.wait(5)
    session.job("grid").stop()
    may_go_on.set()
    queue.join(5)
    assert steps == [("video", 0), ("video", 1), ("video", 2)]
    assert ended == [("video", False), ("grid", True)]

    session.job("grid").ask()
    assert not session.job("grid").stopped, "another run may follow"


def test_a_visitor_who_leaves_ends_all_jobs(sessions):
    session = sessions.get("a")
    jobs = [session.job(name) for name in ("video", "grid")]
    sessions.delete("a")
    jobs[0].ask()
    assert all(job.stopped for job in jobs) and session.job("later").stopped
