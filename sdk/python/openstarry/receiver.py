"""Takes messages, has them dealt with, keeps their leases meanwhile, acknowledges or refuses them."""

from __future__ import annotations

import datetime
import threading
import time
import uuid
from typing import Any, Callable, List, Optional

from .client import Cancel, Client, is_passing, pause_of, segment
from .errors import Cancelled, DaemonError, HttpFailure, Reject, Retry
from .messages import Message, acknowledge, is_lost, path_of

_POLL = "20s"
_POLL_TIMEOUT = 30.0
_MIN_EXTEND = 0.03


class Receiver:
    def __init__(
        self,
        client: Client,
        agent_id: str,
        queue: Optional[str],
        concurrency: int,
        lease: Optional[str],
        handle: Callable[[Message], None],
        log: Callable[[str], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        """queue: one that is open to all; None: the agent's own mailbox, and the queues that list it."""
        self._client = client
        self._agent_id = agent_id
        self._path = path_of(agent_id if queue is None else {"queue": queue})
        self._lease = lease
        self._handle = handle
        self._log = log
        self._fatal = fatal
        self._stopping = Cancel()
        names = ["openstarry-receive-%d" % number for number in range(concurrency)]
        self._threads: List[threading.Thread] = [
            threading.Thread(target=self._run, name=name, daemon=True) for name in names
        ]
        self._lock = threading.Lock()
        self._is_started = False

    def start(self) -> None:
        with self._lock:
            if self._is_started or self._stopping.is_set():
                return
            self._is_started = True
        for thread in self._threads:
            thread.start()

    def halt(self) -> None:
        """Takes no more."""
        self._stopping.set()

    def join(self, until: float) -> bool:
        """until: monotonic seconds. True if everything taken has been dealt with."""
        with self._lock:
            threads = self._threads if self._is_started else []
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            # Else this thread would end unseen, and nothing would be received any more.
            self._fatal(error)

    def _loop(self) -> None:
        failures = 0
        # The same one until its answer is here: a message in an answer that got lost comes at once, and not when its lease ends.
        receive_id = str(uuid.uuid4())
        while not self._stopping.is_set():
            try:
                messages = self._receive(receive_id)
                receive_id = str(uuid.uuid4())
                if failures > 0:
                    self._log("receives again")
                failures = 0
            except Cancelled:
                return
            except Exception as error:
                if not is_passing(error) and not (isinstance(error, HttpFailure) and error.status >= 500):
                    return self._fatal(error)
                if failures == 0:
                    self._log("cannot receive, and tries again: %s" % error)
                self._stopping.wait(pause_of(failures))
                failures += 1
                continue
            for message in messages:
                try:
                    self._deal(message)
                except Exception as error:
                    self._log("%s %s: %s" % (message.type, message.id, error))

    def _receive(self, receive_id: str) -> List[Message]:
        query = {"max": 1, "wait": _POLL, "lease": self._lease, "receive_id": receive_id}
        # `_run` goes on for ever, and says so.
        found = self._client.json(
            "GET", self._path, query=query, timeout=_POLL_TIMEOUT, retry_for=0, cancel=self._stopping
        )
        return [Message.of(each) for each in found["messages"]]

    def _deal(self, message: Message) -> None:
        if self._stopping.is_set():
            return self._refuse(message, delay="0ms", reason="its receiver is being stopped")
        ended = Cancel()
        threading.Thread(target=self._keep, args=(message, ended), daemon=True).start()
        try:
            try:
                self._handle(message)
            finally:
                ended.set()
        except Reject as error:
            return self._refuse(message, dead=True, reason=str(error))
        except Retry as error:
            return self._refuse(message, delay=error.delay, reason=str(error))
        except BaseException as error:
            # Also SystemExit and CancelledError: here they would end a thread, not the process.
            reason = "%s: %s" % (type(error).__name__, error)
            self._log("%s %s failed: %s" % (message.type, message.id, reason))
            return self._refuse(message, reason=reason)
        if not acknowledge(self._client, self._agent_id, message):
            self._log(
                "%s %s was dealt with, but its lease had run out: it may come again" % (message.type, message.id)
            )

    def _refuse(self, message: Message, reason: str, **how: Any) -> None:
        body = {key: value for key, value in how.items() if value is not None}
        try:
            self._say(message, "nack", reason=reason[:1000], **body)
        except DaemonError as error:
            if not is_lost(error):
                raise

    def _keep(self, message: Message, ended: Cancel) -> None:
        """Extends the lease at a third of what is left of it, so that two calls may get lost, until the work ends."""
        until = message.lease_until
        # How long its queue lets it hold only the daemon knows: of what was handed out before, a part has gone.
        more = {} if self._lease is None else {"for": self._lease}
        while True:
            left = _epoch(until) - time.time()
            if ended.wait(max(_MIN_EXTEND, left / 3)):
                return
            try:
                until = self._say(message, "extend", cancel=ended, **more)["lease_until"]
            except Cancelled:
                return
            except Exception:
                if not ended.is_set():
                    message.lost.set()
                return

    def _say(self, message: Message, verb: str, cancel: Optional[Cancel] = None, **body: Any) -> Any:
        path = "%s/%s/%s" % (path_of({"queue": message.queue}), segment(message.id), verb)
        return self._client.json("POST", path, body={"lease": message.lease, **body}, cancel=cancel)


def _epoch(iso: str) -> float:
    # Before Python 3.11 it does not know the Z.
    return datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
