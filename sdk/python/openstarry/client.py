"""The daemon's REST API; trouble that may pass (no answer, 429, 503) is borne with growing pauses."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import threading
import time
import urllib.parse
from typing import Any, Callable, Dict, Mapping, Optional, Set

from .errors import Cancelled, DaemonError, HttpFailure

_FIRST_PAUSE = 0.1
_MAX_PAUSE = 5.0
_TIMEOUT = 30.0
#: Seconds. The daemon may be restarting: agents outlive it.
_RETRY_FOR = 120.0
#: Short trouble is not worth a word.
_TELL_AT_ATTEMPT = 3
#: Said before anything is looked at; other trouble may come after the work is done.
_WITHOUT_EFFECT = ("NOT_READY", "SHUTTING_DOWN")


class Cancel:
    """Ends calls that are under way, from another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._connections: Set[http.client.HTTPConnection] = set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: Optional[float] = None) -> bool:
        return self._event.wait(seconds)

    def set(self) -> None:
        with self._lock:
            self._event.set()
            connections = list(self._connections)
        for connection in connections:
            _break(connection)

    def enter(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._connections.add(connection)

    def leave(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._connections.discard(connection)


class Client:
    def __init__(self, url: str, token: str, log: Callable[[str], None] = lambda line: None) -> None:
        self._url = urllib.parse.urlsplit(url.rstrip("/"))
        self._token = token
        self._log = log

    @classmethod
    def of(cls, env: Mapping[str, str], log: Callable[[str], None]) -> "Client":
        """With what the daemon puts into the environment of every agent."""
        return cls(variable(env, "OPENSTARRY_API_URL"), variable(env, "OPENSTARRY_TOKEN"), log)

    def json(self, method: str, path: str, **options: Any) -> Any:
        return json.loads(self.text(method, path, **options))

    def text(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        timeout: float = _TIMEOUT,
        retry_for: float = _RETRY_FOR,
        repeatable: bool = True,
        cancel: Optional[Cancel] = None,
        idempotency_key: Optional[str] = None,
    ) -> str:
        """timeout: seconds for one attempt. retry_for: trouble that may pass is borne for so many seconds.
        repeatable: False if the call must not take effect twice; then it is tried again only where it cannot have had any.
        idempotency_key: the same for each attempt; what has taken effect does so once.
        Raises DaemonError, and Cancelled."""
        until = time.monotonic() + retry_for
        attempt = 0
        while True:
            try:
                return self.send(method, path, query, body, timeout, cancel, idempotency_key)
            except HttpFailure as error:
                if not is_passing(error) or not (repeatable or error.without_effect):
                    raise
                pause = max(error.retry_after, pause_of(attempt))
                if time.monotonic() + pause > until:
                    raise
                if attempt == _TELL_AT_ATTEMPT:
                    self._log("tries %s %s again and again: %s" % (method, path, error))
            attempt += 1
            if cancel is None:
                time.sleep(pause)
            elif cancel.wait(pause):
                raise Cancelled()

    def send(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        timeout: float = _TIMEOUT,
        cancel: Optional[Cancel] = None,
        idempotency_key: Optional[str] = None,
    ) -> str:
        """One attempt."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        target = self._url.path + path + ("?" + urllib.parse.urlencode(given) if given else "")
        headers = {"Authorization": "Bearer " + self._token}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        # Never through a proxy that the environment names: http.client knows of none.
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=timeout)
        if cancel is not None:
            cancel.enter(connection)
        try:
            connection.connect()
            if cancel is not None and cancel.is_set():
                raise Cancelled()
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            if cancel is not None and cancel.is_set():
                raise Cancelled() from None
            raise HttpFailure(
                "DAEMON_NOT_RUNNING",
                "%s does not answer: %s" % (self._url.geturl(), error or type(error).__name__),
                without_effect=isinstance(error, ConnectionRefusedError),
            ) from error
        finally:
            if cancel is not None:
                cancel.leave(connection)
            connection.close()
        if response.status < 300:
            return answer.decode()
        raise _refusal(response, answer)


def is_passing(error: BaseException) -> bool:
    """True if the same call may succeed later. A daemon that has just come back may not have found this process yet."""
    if not isinstance(error, HttpFailure):
        return False
    if error.code == "STALE_INCARNATION":
        return error.details.get("live_generation") is None
    return error.status in (0, 429, 502, 503, 504)


def pause_of(attempt: int) -> float:
    """Seconds. Half of it is chance, so that agents that were cut off together do not come back together."""
    full = min(_MAX_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 16))
    return full / 2 + random.random() * full / 2


def variable(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if value:
        return value
    message = "%s is not in the environment: run this as an agent of the daemon, or give it" % name
    raise DaemonError("INVALID_REQUEST", message)


def environment() -> Dict[str, str]:
    return dict(os.environ)


def segment(text: str) -> str:
    """As one part of a path."""
    return urllib.parse.quote(text, safe="")


def _break(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    try:
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself


def _refusal(response: http.client.HTTPResponse, body: bytes) -> HttpFailure:
    status = response.status
    try:
        retry_after = float(response.headers.get("Retry-After") or 0)
    except ValueError:
        retry_after = 0.0
    try:
        said = json.loads(body)["error"]
        code, message = said["code"], said["message"]
        remedy, details = said.get("remedy", ""), said.get("details")
    except (ValueError, KeyError, TypeError):
        code, message, remedy, details = "HTTP_%d" % status, body[:200].decode(errors="replace"), "", None
    without_effect = status < 500 or code in _WITHOUT_EFFECT
    return HttpFailure(code, message, remedy, details, status, without_effect, retry_after)
