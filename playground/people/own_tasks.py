"""The tasks that visitors made on the page: their owners, and how long they are kept.

A task is a folder without code (`align_core.tasks.folder`), ROOT/VISITOR/DIGEST/own. DIGEST is a
hash of its files: a changed task is another folder, so runs on the earlier one are not affected.
ROOT/VISITOR/card.json is the card of the newest task.

Pages never see paths. They call a visitor's own task OWN, its earlier versions EARLIER, and tasks
of other visitors OTHERS.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from align_core.config.messages import problem
from align_core.config.task_card import TaskCard, as_row, forget, from_row, register
from align_core.evaluation import prepared
from align_core.runs.files import write_atomically
from align_core.runs.steady_clock import steady_time
from playground.content.page_names import from_page, page_name
from playground.content.tasks import EARLIER, OTHERS, OWN
from playground.limits import Limits
from playground.people.client_address import client_address

MAX_KEPT = 3  # folders of a visitor: the newest, and two earlier ones, which runs may use
UNUSED_SECONDS = 3600.0  # without use, after which a task may be deleted to make room
_CARD, _FOLDER = "card.json", "own"


@dataclass(frozen=True)
class TaskLimits:
    """Limits of a task's size, and the days that it is kept after its last use (None: forever).

    `bytes` are those of an upload, `unpacked` those of all files of a task.
    """

    prompts: int = 20_000
    pairs: int = 20_000
    tokens: int = 512  # of a completion
    characters: int = 20_000  # of a prompt
    days: int | None = None
    bytes: int = 5 * 1024**2
    unpacked: int = 20 * 1024**2


PUBLIC = TaskLimits(prompts=500, pairs=2000, tokens=64, characters=2000, days=7)


class Full(RuntimeError):
    """There is no room for the task."""

    def __init__(self) -> None:
        self.message = problem("full", "this server has no room for another task now")
        super().__init__(self.message)


class OwnTasks:
    """The tasks in `root`. A task is deleted together with its prepared optimum. Thread-safe.

    `limits` apply to each task, `places` to all of them. If tasks are not kept forever, those that
    are unused for UNUSED_SECONDS may be deleted to make room.
    """

    def __init__(
        self,
        root: Path,
        limits: TaskLimits = TaskLimits(),  # noqa: B008 - frozen
        places: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.limits = limits
        self._places = places
        self._root = root.resolve()
        self._addresses: dict[str, str] = {}  # folder -> address of its visitor, if known
        self._lock = threading.Lock()
        self._cards: dict[str, TaskCard] = {}  # by the name of the visitor's folder

    def load(self) -> None:
        """Register the tasks on the disk, so that configurations may name them."""
        for file in self._root.glob(f"*/{_CARD}"):
            try:
                card = from_row(json.loads(file.read_text(encoding="utf-8")))
                if not Path(card.full_name).is_dir() or not self._is_inside(card.full_name):
                    continue
            except (OSError, ValueError, LookupError, TypeError, RecursionError):
                continue  # the card is replaced when the visitor saves a task
            self._cards[file.parent.name] = card
            register(card, listed=False)
        self._drop_expired()

    def card(self, visitor: str | None) -> TaskCard | None:
        """The card of the visitor's task; None if they have none."""
        return self._cards.get(_folder_of(visitor)) if visitor else None

    def full_name(self, visitor: str | None, task: Any) -> Any:
        """The full name of the task that a visitor's page calls `task`.

        The path of any task in `root` counts as OWN, because no page may name a path. OWN stays OWN
        if the visitor has no task.
        """
        if task == OWN or self._is_inside(task):
            card = self.card(visitor)
            return card.full_name if card else OWN
        return from_page(task)

    def page_name(self, visitor: str | None, task: Any) -> Any:
        """The name on the visitor's page for the task with this full name."""
        if not self._is_inside(task):
            return page_name(task)
        card = self.card(visitor)
        if card and task == card.full_name:
            return OWN
        is_mine = visitor and Path(task).is_relative_to(self._root / _folder_of(visitor))
        return EARLIER if is_mine else OTHERS

    def folder(self, visitor: str | None) -> Path | None:
        """The folder of the visitor's task; None if they have none."""
        card = self.card(visitor)
        return None if card is None else Path(card.full_name)

    def folder_of(self, visitor: str | None, task: str) -> Path | None:
        """The folder of the visitor's task, or of an earlier one, by its full name; None for any
        other task, and for one that was deleted."""
        if not visitor or self.page_name(visitor, task) not in (OWN, EARLIER):
            return None
        return Path(task) if Path(task).is_dir() else None

    @contextlib.contextmanager
    def staged(self, files: Mapping[str, bytes]) -> Iterator[Path]:
        """A context with a temporary folder of these files, relative path -> content."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._root) as temporary:
            folder = Path(temporary, _FOLDER)
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            yield folder

    def keep(self, visitor: str, staged: Path, card: TaskCard, files: Mapping[str, bytes]) -> None:
        """Make the `staged` folder with these `files` the visitor's task, with this card.

        Raises:
            Full: there is no room, in total or for this address.
            OSError: it could not be written.
        """
        with self._lock:
            self._drop_expired()
            home = self._root / _folder_of(visitor)
            address = client_address()
            self._make_room(home.name, address, sum(map(len, files.values())))
            folder = home / _digest(files) / _FOLDER
            if not folder.is_dir():
                folder.parent.mkdir(parents=True, exist_ok=True)
                staged.rename(folder)
            card = replace(card, folder=str(folder), name=_FOLDER)
            write_atomically(home / _CARD, json.dumps(as_row(card)))
            folder.parent.touch()  # the newest
            self._cards[home.name], self._addresses[home.name] = card, address
            register(card, listed=False)
            folders = [path for path in home.iterdir() if path.is_dir()]
            for old in sorted(folders, key=lambda path: path.stat().st_mtime)[:-MAX_KEPT]:
                self._remove(old)

    def touch(self, visitor: str | None) -> None:
        """Note that the task was used: it is kept for `limits.days` from now on."""
        if visitor and _folder_of(visitor) in self._cards:
            with contextlib.suppress(OSError):
                (self._root / _folder_of(visitor) / _CARD).touch()

    def delete(self, visitor: str) -> None:
        """Delete all tasks of the visitor."""
        with self._lock:
            self._delete(_folder_of(visitor))

    def _delete(self, name: str) -> None:
        self._cards.pop(name, None)
        self._addresses.pop(name, None)
        for folder in (self._root / name).glob("*/"):
            self._remove(folder)
        shutil.rmtree(self._root / name, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        task = str(folder / _FOLDER)
        forget(task)
        shutil.rmtree(folder, ignore_errors=True)
        for entry in _prepared(task):
            shutil.rmtree(entry.path, ignore_errors=True)

    def _drop_expired(self) -> None:
        """Delete tasks that were not used for `limits.days`, and remains of a crash."""
        for folder in self._root.glob(".new-*"):
            with contextlib.suppress(OSError):
                if steady_time() - folder.stat().st_mtime > 3600:
                    shutil.rmtree(folder, ignore_errors=True)
        if self.limits.days is None:
            return
        for name in [*self._cards]:
            if steady_time() - self._used(name) > self.limits.days * 86_400:
                self._delete(name)
        for entry in prepared.entries():  # a preparation that was stopped has no facts
            with contextlib.suppress(OSError):
                is_old = steady_time() - entry.path.stat().st_mtime > UNUSED_SECONDS
                if entry.path.name.startswith(f"{_FOLDER}-") and not entry.complete and is_old:
                    shutil.rmtree(entry.path, ignore_errors=True)

    def _used(self, name: str) -> float:
        """The time of a visitor's last use of their task, in seconds since 1970."""
        try:
            return (self._root / name / _CARD).stat().st_mtime
        except OSError:
            return 0.0

    def _make_room(self, name: str, address: str, size: int) -> None:
        """Delete unused tasks, longest unused first, until a task of `size` bytes fits into the
        visitor's folder `name`. Raises Full if that is not enough."""
        sizes = {other: self._size(other) for other in {*self._cards, name}}
        while (over := self._over(name, address, size, sizes)) is not None:
            since = steady_time() - UNUSED_SECONDS
            unused = [other for other in over - {name} if self._used(other) < since]
            if self.limits.days is None or not unused:
                raise Full
            oldest = min(unused, key=self._used)
            self._delete(oldest)
            del sizes[oldest]

    def _over(
        self, name: str, address: str, size: int, sizes: Mapping[str, int]
    ) -> set[str] | None:
        """The folders of visitors whose number or size exceeds a limit; None if there is room."""
        here = {other for other in sizes if self._addresses.get(other) == address} | {name}
        places = self._places
        limits = [(here, places.tasks_by_address, places.task_megabytes_by_address)]
        limits = [({*sizes}, places.tasks, places.task_megabytes), *(limits if address else ())]
        for names, max_tasks, megabytes in limits:
            taken = size + sum(sizes[other] for other in names)
            if len(names) > max_tasks or (megabytes is not None and taken > megabytes * 1e6):
                return names
        return None

    def _size(self, name: str) -> int:
        """Bytes of a visitor's tasks and of their prepared samples."""
        home = self._root / name
        files = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        tasks = [str(folder / _FOLDER) for folder in home.glob("*/")]
        return files + sum(entry.size for entry in _prepared(*tasks))

    def _is_inside(self, task: Any) -> bool:
        return isinstance(task, str) and task.startswith(f"{self._root}/")


def _prepared(*tasks: str) -> list[prepared.Entry]:
    """The prepared entries for these tasks."""
    entries = []
    for entry in prepared.entries():
        with contextlib.suppress(OSError, ValueError):
            if entry.facts().get("task") in tasks:
                entries.append(entry)
    return entries


def _folder_of(visitor: str) -> str:
    return visitor[:32]


def _digest(files: Mapping[str, bytes]) -> str:
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(f"{name}\0{len(files[name])}\0".encode())
        content.update(files[name])
    return content.hexdigest()[:12]
