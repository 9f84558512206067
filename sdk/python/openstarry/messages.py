"""Messages: what they are, and who waits for an answer."""

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from typing import Any, Callable, Dict, Mapping, NoReturn, Optional, Union

from .client import Cancel, Client, segment
from .errors import Cancelled, DaemonError

#: An agent by its id, or a work queue: {"queue": "analysis"}.
Recipient = Union[str, Mapping[str, str]]

#: They say that somebody works on it: the answer is still to come.
_INTERIM = ("TASK_ACCEPT", "TASK_PROGRESS")
_POLL = 20.0


@dataclasses.dataclass
class Message:
    """A message as it was handed out."""

    id: str
    #: "@agent" for a mailbox, else the name of a work queue.
    queue: str
    type: str
    #: 0 to 9, 9 is the most urgent.
    priority: int
    payload: Any
    #: An agent id, "admin", or "_daemon". (`from` is a word of Python.)
    sender: str
    #: Proves that it was handed out to this process; it holds until `lease_until`.
    lease: str
    lease_until: str
    #: How often it has been handed out.
    attempt: int
    correlation_id: Optional[str] = None
    reply_to: Optional[str] = None
    sent_at: str = ""
    expires_at: Optional[str] = None
    #: Set when it is not ours any more: the lease was lost, and somebody else may work on it.
    lost: threading.Event = dataclasses.field(default_factory=threading.Event, repr=False, compare=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Message":
        known = {field.name for field in dataclasses.fields(cls)} - {"lost"}
        values = {key: value for key, value in given.items() if key in known}
        return cls(sender=given["from"], **values)


def path_of(to: Recipient) -> str:
    if isinstance(to, str):
        return "/agents/%s/messages" % segment(to)
    return "/queues/%s/messages" % segment(to["queue"])


def acknowledge(client: Client, agent_id: str, message: Message) -> bool:
    """False if it is not ours any more: the lease had run out, or an earlier attempt was heard after all."""
    path = "%s/%s/ack" % (path_of(agent_id), segment(message.id))
    try:
        client.text("POST", path, body={"lease": message.lease})
        return True
    except DaemonError as error:
        if is_lost(error):
            return False
        raise


def is_lost(error: BaseException) -> bool:
    return isinstance(error, DaemonError) and error.code in ("MESSAGE_NOT_FOUND", "LEASE_STALE")


def give_back(client: Client, agent_id: str, message: Message) -> None:
    """It is for somebody else in this process."""
    path = "%s/%s/nack" % (path_of(agent_id), segment(message.id))
    body = {"lease": message.lease, "delay": "0ms", "reason": "it is for a handler"}
    try:
        client.text("POST", path, body=body)
    except DaemonError as error:
        if not is_lost(error):
            raise


class Question:
    def __init__(
        self,
        on_progress: Optional[Callable[[Message], Any]] = None,
        is_answer: Optional[Callable[[Message], bool]] = None,
        patient: bool = False,
    ) -> None:
        self.on_progress = on_progress
        self.is_answer = is_answer
        #: It may take days: a stop does not wait for it.
        self.patient = patient
        self.answer: Optional[Message] = None
        #: Ends the looking.
        self.done = Cancel()


class Answers:
    """The answers that somebody waits for, by correlation id."""

    def __init__(self, client: Client, agent_id: str) -> None:
        self._client = client
        self._agent_id = agent_id
        self._lock = threading.Lock()
        self._questions: Dict[str, Question] = {}
        self._is_cut = False
        self._is_stopping = False

    def take(self, message: Message) -> bool:
        """False if nobody waits for this one."""
        with self._lock:
            question = self._questions.get(message.correlation_id or "")
        if question is None or not (question.is_answer is None or question.is_answer(message)):
            return False
        if message.type in _INTERIM:
            if question.on_progress is not None:
                question.on_progress(message)
        else:
            question.answer = message
            question.done.set()
        return True

    def cut(self, all: bool = True) -> None:
        """Nobody waits any longer; or, without all, nobody for what may take days."""
        with self._lock:
            self._is_stopping = True
            self._is_cut = self._is_cut or all
            questions = [each for each in self._questions.values() if all or each.patient]
        for question in questions:
            question.done.set()

    def listen(self, correlation_id: str, question: Question) -> None:
        """It is told if the receive loop takes such a message, in place of its handler. Raises DaemonError
        AGENT_STOPPING."""
        with self._lock:
            if self._is_cut or (self._is_stopping and question.patient):
                stopping(self._agent_id)
            self._questions[correlation_id] = question

    def close(self, correlation_id: str, question: Question) -> None:
        with self._lock:
            if self._questions.get(correlation_id) is question:
                del self._questions[correlation_id]

    def expect(
        self,
        correlation_id: str,
        timeout: float,
        on_progress: Optional[Callable[[Message], Any]],
        ask: Callable[[], Any],
    ) -> Message:
        """Asks, and waits for the answer. It is looked for apart from the receive loop, which may be busy with the very
        message that made somebody ask. Raises DaemonError REQUEST_TIMEOUT, REQUEST_UNDELIVERED, and those of `ask`."""
        until = time.monotonic() + timeout
        question = Question(on_progress)
        self.listen(correlation_id, question)
        try:
            ask()
            while question.answer is None:
                left = until - time.monotonic()
                if left <= 0:
                    raise DaemonError("REQUEST_TIMEOUT", "Nobody has answered %s in time" % correlation_id)
                self._look(correlation_id, left, question)
            return _undelivered(question.answer)
        finally:
            self.close(correlation_id, question)

    def _look(self, correlation_id: str, left: float, question: Question) -> None:
        wait = min(_POLL, left)
        query = {
            "correlation_id": correlation_id,
            "max": 10,
            "wait": "%dms" % max(1, wait * 1000),
            # The same for each attempt of this look: an answer that got lost comes again at once.
            "receive_id": str(uuid.uuid4()),
        }
        try:
            found = self._client.json(
                "GET", path_of(self._agent_id), query=query, timeout=wait + 10, retry_for=left, cancel=question.done
            )
        except Cancelled:
            if question.answer is None:
                stopping(self._agent_id)
            return
        for each in found["messages"]:
            message = Message.of(each)
            acknowledge(self._client, self._agent_id, message)
            self.take(message)


def stopping(agent_id: str) -> NoReturn:
    raise DaemonError("AGENT_STOPPING", "%s is being stopped" % agent_id)


def _undelivered(message: Message) -> Message:
    if message.type != "CONTROL" or message.sender != "_daemon":
        return message
    reason = message.payload.get("reason") or "no reason given"
    # The message lives as long as its answer is waited for: which of the two is noticed first is chance.
    if message.payload.get("cause") == "expired":
        raise DaemonError("REQUEST_TIMEOUT", "Nobody has answered in time: %s" % reason)
    raise DaemonError(
        "REQUEST_UNDELIVERED", "The message was given up: %s" % reason, details={"notice": message.payload}
    )
