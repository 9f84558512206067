"""Tells the daemon that this process lives, three times as often as it wants to hear."""

from __future__ import annotations

import threading
from typing import Any, Dict, Optional, Union

from .client import Client, segment
from .errors import DaemonError

#: Seconds. Where none is owed, a sign of life now and then.
_UNASKED = 30.0
_MIN = 0.1
_RETRY = 1.0


class Heartbeats:
    def __init__(self, client: Client, agent_id: str) -> None:
        self._client = client
        self._path = "/agents/%s/heartbeat" % segment(agent_id)
        self._stopping = threading.Event()
        self._last: Dict[str, Any] = {}
        self._period: Optional[float] = None

    def beat(
        self, progress: Optional[Union[str, float]] = None, usage: Optional[Dict[str, float]] = None
    ) -> None:
        """At once; what was said is repeated from then on."""
        if progress is not None:
            self._last["progress"] = progress
        if usage is not None:
            self._last["usage"] = usage
        # A later one says the same: nothing is gained by insisting on this one.
        answer = self._client.json("POST", self._path, body=dict(self._last), retry_for=0)
        period = answer["period_ms"]
        self._period = None if period is None else period / 1000

    def start(self) -> None:
        threading.Thread(target=self._run, name="openstarry-heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            retry = _UNASKED
            try:
                self.beat()
            except DaemonError:
                retry = _RETRY
            following = _UNASKED if self._period is None else max(_MIN, self._period / 3)
            self._stopping.wait(min(retry, following))
