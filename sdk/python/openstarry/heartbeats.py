"""Tells the daemon that this process lives, three times as often as it wants to hear."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Optional, Tuple, Union

from .client import Client, is_passing, segment

#: Seconds. Where none is owed, a sign of life now and then.
_UNASKED = 30.0
_MIN = 0.1
_RETRY = 1.0


class Heartbeats:
    def __init__(self, client: Client, agent_id: str, log: Callable[[str], None]) -> None:
        self._client = client
        self._log = log
        self._path = "/agents/%s/heartbeat" % segment(agent_id)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: What is repeated. Numbered, because an answer to an earlier one may be the later to come.
        self._said: Tuple[int, Dict[str, Any]] = (0, {})
        #: What the daemon has taken: of what it refuses nothing is repeated, or no later one would be heard.
        self._heard = self._said
        self._period: Optional[float] = None

    def beat(
        self, progress: Optional[Union[str, float]] = None, usage: Optional[Dict[str, float]] = None
    ) -> None:
        """At once; what was said is repeated from then on, unless the daemon refuses it."""
        given = {key: value for key, value in (("progress", progress), ("usage", usage)) if value is not None}
        with self._lock:
            if given:
                self._said = (self._said[0] + 1, {**self._said[1], **given})
            said = self._said
        try:
            # A later one says the same: nothing is gained by insisting on this one.
            answer = self._client.json("POST", self._path, body=said[1], retry_for=0)
        except Exception as error:
            with self._lock:
                # What was said meanwhile has an answer of its own.
                if not is_passing(error) and self._said is said:
                    self._said = self._heard
            raise
        with self._lock:
            if said[0] > self._heard[0]:
                self._heard = said
        period = answer["period_ms"]
        self._period = None if period is None else period / 1000

    def start(self) -> None:
        threading.Thread(target=self._run, name="openstarry-heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        is_refused = False
        while not self._stopping.is_set():
            retry = _UNASKED
            try:
                self.beat()
                is_refused = False
            except Exception as error:
                retry = _RETRY
                if not is_passing(error) and not is_refused and not self._stopping.is_set():
                    is_refused = True
                    self._log("its heartbeat is not taken, and it tries again: %s" % error)
            following = _UNASKED if self._period is None else max(_MIN, self._period / 3)
            self._stopping.wait(min(retry, following))
