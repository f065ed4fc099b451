"""No message to a visitor has a path of the server."""

import pytest

from align_core.config.messages import Message, plain, to_event
from playground import text
from playground.text import error_messages, messages
from playground.text.paths import without_folders


@pytest.mark.parametrize(
    "line, shown",
    [
        ("'/srv/play/runs/first': File exists", "'first': File exists"),
        ("/home/ada/runs/x.json: line 3", "x.json: line 3"),
        ("cannot be used: /srv/runs is a file", "cannot be used: runs is a file"),
        ("and/or, 1/2, /zh, https://a.org/b/c, model reviews/x", None),
        ("in (/opt/app/models/policy/)", "in ()"),
        ("got '/srv/my runs/a (1)/b.json', expected", "got 'b.json', expected"),
        ('see "file:///srv/my runs/b.json" or file:///srv/c', 'see "b.json" or c'),
        ("it's a/b and it's /srv/c", "it's a/b and it's c"),
    ],
)
def test_paths_are_reduced_to_their_last_part(line, shown):
    assert without_folders(line) == (line if shown is None else shown)


def test_no_message_to_a_visitor_has_a_path_of_the_server():
    place = "/srv/play/runs/first"
    values = {"option": "--run-dir", "got": place, "problem": f"{place} is a file"}
    for language in text.languages():
        words = text.load(language)
        for message in (
            Message("folder", values, f"--run-dir got {place}"),
            plain(f"OSError: {place}/config.json"),
            Message("disk_full", {"path": place}, f"The disk is full: {place}"),
        ):
            for shown in (
                error_messages.translate(message, words),
                messages.translate({"kind": "status", **to_event(message)}, words),
            ):
                assert "/srv" not in shown and shown.count("first") + shown.count("config") >= 1
