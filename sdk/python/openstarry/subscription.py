"""Reads the events of a pattern one after the other, over restarts of the daemon, until it is closed."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any, Callable, Dict, Mapping, Optional, Union

from .client import Cancel, Client, pause_of, segment
from .errors import Cancelled
from .state import StateScope

_POLL = "20s"
_POLL_TIMEOUT = 30.0
_PAGE = 100
_OPEN_FOR = 120.0


@dataclasses.dataclass
class TopicEvent:
    #: Grows by one with each event of whichever topic.
    cursor: int
    topic: str
    payload: Any
    #: An agent id, "admin", or "_daemon".
    sender: str
    key: Optional[str] = None
    at: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "TopicEvent":
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(sender=given["from"], **{key: value for key, value in given.items() if key in known})


class Subscription:
    def __init__(
        self,
        client: Client,
        state: StateScope,
        log: Callable[[str], None],
        pattern: str,
        handler: Callable[[TopicEvent], Any],
        after: Union[int, str] = "latest",
        name: Optional[str] = None,
        on_missed: Optional[Callable[[], Any]] = None,
    ) -> None:
        """The place is known when this returns: what is published from then on is read."""
        self._client = client
        self._state = state
        self._log = log
        self._pattern = pattern
        self._path = "/topics/%s/events" % segment(pattern)
        self._handler = handler
        self._key = None if name is None else "subscription/" + name
        self._on_missed = on_missed
        self._closing = Cancel()
        kept = None if self._key is None else state.get(self._key)
        first = after if kept is None else kept.value
        #: Of the last event that was looked at.
        self.cursor: int = self._page("latest", "0s", _OPEN_FOR)["next"] if first == "latest" else int(first)
        self._thread = threading.Thread(target=self._read, name="openstarry-" + pattern, daemon=True)
        self._thread.start()

    def close(self, until: Optional[float] = None) -> bool:
        """until: monotonic seconds. True when the handler has ended; the cursor is kept."""
        self._closing.set()
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _read(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                page = self._page(self.cursor, _POLL, 0)
                failures = 0
                if page["missed"]:
                    self._missed()
                before = self.cursor
                self._tell(page)
                if self._key is not None and self.cursor != before:
                    self._state.put(self._key, self.cursor)
            except Cancelled:
                return
            except BaseException as error:  # also what `on_missed` raises to end a process
                if self._closing.is_set():
                    return
                if failures == 0:
                    self._log("the subscription to %s tries again: %s" % (self._pattern, error))
                self._closing.wait(pause_of(failures))
                failures += 1

    def _tell(self, page: Dict[str, Any]) -> None:
        for each in page["events"]:
            if self._closing.is_set():
                return
            event = TopicEvent.of(each)
            try:
                self._handler(event)
            except BaseException as error:  # SystemExit would end this thread, not the process
                self._log("the handler of %s failed for event %d: %r" % (event.topic, event.cursor, error))
            self.cursor = event.cursor
        self.cursor = page["next"]

    def _page(self, after: Union[int, str], wait: str, retry_for: float) -> Dict[str, Any]:
        query = {"after": after, "max": _PAGE, "wait": wait}
        found: Dict[str, Any] = self._client.json(
            "GET", self._path, query=query, timeout=_POLL_TIMEOUT, retry_for=retry_for, cancel=self._closing
        )
        return found

    def _missed(self) -> None:
        if self._on_missed is not None:
            self._on_missed()
        else:
            self._log("events of %s after %d were dropped before they were read" % (self._pattern, self.cursor))
