"""This process, as an agent of the daemon: messages, topics, state, signs of life, and an end in order."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import sys
import threading
import time
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from .client import Client, environment, segment, variable
from .errors import DaemonError, Reject
from .heartbeats import Heartbeats
from .incidents import Incidents, ProposedAction
from .messages import Answers, Message, Recipient, path_of
from .receiver import Receiver
from .state import StateEntry, StateScope
from .subscription import Subscription, TopicEvent

Handler = Callable[[Message], Any]

#: Seconds. Under the 10 s that the daemon gives by default.
_GRACE = 8.0
_ANSWER = 60.0
#: Where the daemon takes the results of runs.
_RUNS = {"queue": "openstarry.runs"}


class Agent:
    def __init__(
        self,
        env: Optional[Mapping[str, str]] = None,
        concurrency: int = 1,
        queues: Sequence[str] = (),
        lease: Optional[str] = None,
        grace: float = _GRACE,
        heartbeats: bool = True,
        log: Optional[Callable[[str], None]] = None,
    ) -> None:
        """env: what the daemon has put into the environment; by default that of the process.
        concurrency: messages of each source that are dealt with at the same time, each in a thread; with more than one, their
        order is not kept.
        queues: work queues without members, which are open to all: what is in them comes only to those who name them.
        lease: how long a message is ours without a word, such as "30s"; it is extended while its handler runs.
        grace: seconds that a stop waits for handlers.
        heartbeats: of their own accord, as often as the daemon wants them.
        log: for what people should know; by default a line on stderr.
        Raises DaemonError INVALID_REQUEST naming the variable that is missing."""
        self._env = environment() if env is None else env
        self.id: str = variable(self._env, "OPENSTARRY_AGENT_ID")
        #: What it was started to do; None if it has no task.
        self.task: Optional[str] = self._env.get("OPENSTARRY_TASK")
        #: The run that it was started for; None if it was not.
        self.run_id: Optional[str] = self._env.get("OPENSTARRY_RUN_ID")
        self._log = log or self._to_stderr
        self._client = Client.of(self._env, self._log)
        #: What belongs to this agent.
        self.state = StateScope(self._client, "/state/agents/" + segment(self.id))
        #: What all agents share.
        self.shared = StateScope(self._client, "/state/shared")
        #: Set when the agent is to stop: for own loops, `while not agent.stopping.wait(2): …`.
        self.stopping = threading.Event()
        self._grace = grace
        self._answers = Answers(self._client, self.id)
        self._incidents = Incidents(self._client, self._answers, self.id)
        self._beats = Heartbeats(self._client, self.id, self._log)
        self._wants_beats = heartbeats
        self._handlers: Dict[str, Handler] = {}
        self._receivers = [
            Receiver(self._client, self.id, queue, concurrency, lease, self._deal, self._log, self.fail)
            for queue in (None, *queues)
        ]
        self._subscriptions: List[Subscription] = []
        self._endings: List[Callable[[], Any]] = []
        self._lock = threading.RLock()
        self._is_running = False
        self._going_down: Optional[threading.Thread] = None
        self.ended = threading.Event()
        self.failure: Optional[BaseException] = None
        self._is_signalled = False

    def on(self, type: str, handler: Optional[Handler] = None) -> Any:
        """Who deals with messages of a type; "*" is for all that have no handler of their own. Receiving begins with the
        first. Without a handler it is a decorator."""
        if handler is None:
            return lambda given: self.on(type, given) and given
        self._handlers[type] = handler
        if self._is_running:
            self._receive()
        return self

    def on_cron(self, handler: Optional[Handler] = None) -> Any:
        """What the schedule of this agent asks for."""
        return self.on("CRON", handler)

    def on_stop(self, ending: Callable[[], Any]) -> "Agent":
        """Called at the end, after the last message."""
        self._endings.append(ending)
        return self

    def send(
        self,
        to: Recipient,
        type: str,
        payload: Any,
        *,
        priority: Optional[int] = None,
        ttl: Optional[str] = None,
        correlation_id: Optional[str] = None,
        reply_to: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Sends a message; it is safe when this returns {"id", "duplicate"}. Sent again after trouble, it is still one
        message. to: an agent, or {"queue": name}. priority: 0 to 9, 9 is the most urgent. ttl: given up if it has not been
        acknowledged after so long. reply_to: an agent or a work queue, by default the sender."""
        options = {
            "priority": priority,
            "ttl": ttl,
            "correlation_id": correlation_id,
            "reply_to": reply_to,
            "idempotency_key": idempotency_key,
        }
        given = {key: value for key, value in options.items() if value is not None}
        body = _keyed({"type": type, "payload": payload, **given})
        sent: Dict[str, Any] = self._client.json("POST", path_of(to), body=body)
        return sent

    def send_all(self, to: Recipient, messages: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
        """Up to 100 messages, {"type", "payload", …}: all of them are sent, or none."""
        body = {"messages": [_keyed(message) for message in messages]}
        sent: List[Dict[str, Any]] = self._client.json("POST", path_of(to), body=body)["messages"]
        return sent

    def reply(self, message: Message, type: str, payload: Any, **options: Any) -> Optional[Dict[str, Any]]:
        """Answers a message. None if nobody can be answered: a person without `reply_to`, or the daemon itself."""
        if message.reply_to is None and message.sender in ("admin", "_daemon"):
            return None
        to = message.reply_to or message.sender
        key = {"correlation_id": message.correlation_id or message.id, "idempotency_key": str(uuid.uuid4())}
        if to.startswith("@"):
            return self.send({"queue": to}, type, payload, **{**key, **options})
        try:
            return self.send(to, type, payload, **{**key, **options})
        except DaemonError as error:
            # `reply_to` names an agent or a work queue: only the daemon knows which.
            if message.reply_to is None or error.code != "AGENT_NOT_FOUND":
                raise
            return self.send({"queue": to}, type, payload, **{**key, **options})

    def request(
        self,
        to: Recipient,
        type: str,
        payload: Any,
        *,
        timeout: float = _ANSWER,
        on_progress: Optional[Callable[[Message], Any]] = None,
        **options: Any,
    ) -> Message:
        """Sends a message and waits for its answer. TASK_ACCEPT and TASK_PROGRESS are none: `on_progress` is told of them.
        timeout: seconds; it is the message's `ttl`, too, unless that is given. Raises DaemonError REQUEST_TIMEOUT, and
        REQUEST_UNDELIVERED if the daemon has given the message up."""
        correlation_id = options.pop("correlation_id", None) or str(uuid.uuid4())
        given = {"ttl": "%dms" % max(1, timeout * 1000), **options, "correlation_id": correlation_id}
        return self._answers.expect(
            correlation_id, timeout, on_progress, lambda: self.send(to, type, payload, **given)
        )

    def publish(self, topic: str, payload: Any, key: Optional[str] = None) -> Dict[str, Any]:
        """key: the same key on the same topic is the same event; by default one that is made for this call."""
        body = {"payload": payload, "key": key or str(uuid.uuid4())}
        published: Dict[str, Any] = self._client.json("POST", "/topics/" + segment(topic), body=body)
        return published

    def subscribe(
        self,
        pattern: str,
        handler: Callable[[TopicEvent], Any],
        after: Union[int, str] = "latest",
        name: Optional[str] = None,
        on_missed: Optional[Callable[[], Any]] = None,
    ) -> Subscription:
        """Events of a pattern, one after the other, in a thread: "*" stands for one segment of a topic, ">" for the rest.
        after: where to begin, a cursor or "latest". name: with one the cursor is kept in the agent's state, and its next
        process goes on where this one ended. on_missed: told if events were dropped before they were read."""
        subscription = Subscription(
            self._client, self.state, self._log, pattern, lambda event: call(handler, event), after, name, on_missed
        )
        self._subscriptions.append(subscription)
        return subscription

    def snapshot(self) -> Any:
        """What the last process of this agent has saved; None if there is nothing."""
        file = self._env.get("OPENSTARRY_SNAPSHOT_FILE")
        if file is None:
            return None
        try:
            with open(file, encoding="utf-8") as text:
                return json.load(text)
        except FileNotFoundError:
            return None

    def save_snapshot(self, value: Any) -> StateEntry:
        """Given to the next process of this agent at its start."""
        return self.state.put("snapshot", value)

    def heartbeat(
        self, progress: Optional[Union[str, float]] = None, usage: Optional[Dict[str, float]] = None
    ) -> None:
        """A sign of life, with how far it is, and up to 32 named numbers such as {"tokens": 1200}. It is repeated from then
        on, as often as the daemon wants it."""
        self._beats.beat(progress, usage)

    def report(
        self,
        summary: str,
        *,
        incident_id: Optional[str] = None,
        severity: Optional[str] = None,
        agent_id: Optional[str] = None,
        value: Optional[str] = None,
        threshold: Optional[str] = None,
        tried: Optional[str] = None,
        needed: Optional[str] = None,
        details: Any = None,
    ) -> Dict[str, Any]:
        """Something is wrong, and somebody must know: the chief first, then people. Returns the incident. summary: a
        sentence. incident_id: the same id is the same incident, such as "disk-full"; by default a new one. severity: info,
        warning (the default) or critical. agent_id: whom it is about. value: what was seen, such as "CPU 95 %".
        threshold: which limit it passed, such as "90 %". tried: what was tried, and what came of it. needed: what is
        needed now."""
        said = {"value": value, "threshold": threshold, "tried": tried, "needed": needed, "details": details}
        about = {"incident_id": incident_id, "severity": severity, "agent_id": agent_id}
        return self._incidents.report({"summary": summary, **about, **said})

    def propose(self, action: ProposedAction, reason: str, risk: str, **options: Any) -> Dict[str, Any]:
        """Asks people to decide; `decision` waits for that, also in a later process, and so does a handler of
        APPROVAL_DECISION. Returns the incident. What was proposed under an `incident_id` is not proposed again: what has
        become of it is returned. action: {"command": "restart", "agent_id": "w1"}, which the daemon carries out once it is
        approved; or a text: then the asker does it. reason: why, for those who decide. risk: low, medium or high.
        options: those of `report`; summary: by default what is proposed; expires: such as "2h", by default it waits for
        ever; on_expiry, only with expires: keep (the default: it stays undecided), approve or reject."""
        return self._incidents.propose(action, reason, risk, **options)

    def decision(self, incident_id: str, timeout: Optional[float] = None) -> Dict[str, Any]:
        """Waits until something that this agent has proposed is decided, which may take people days. Returns {"incident_id",
        "decision": "approved", "rejected" or "withdrawn", "action", "by", "at", "reason"}. timeout: seconds; by default it
        waits until it is to stop. Raises DaemonError REQUEST_TIMEOUT: it still waits; AGENT_STOPPING; INCIDENT_NOT_FOUND,
        NOT_AN_APPROVAL."""
        return self._incidents.decision(incident_id, timeout)

    def incident(self, incident_id: str) -> Dict[str, Any]:
        """How an incident stands. Raises DaemonError INCIDENT_NOT_FOUND."""
        return self._incidents.get(incident_id)

    def acknowledge(self, incident_id: str, note: Optional[str] = None) -> Dict[str, Any]:
        """Takes care of it: people are not told then, or not again. Only the chief may."""
        return self._incidents.act("acknowledge", incident_id, note)

    def resolve(self, incident_id: str, note: Optional[str] = None) -> Dict[str, Any]:
        """It is over. What this agent has reported, or, if it is the chief, any."""
        return self._incidents.act("resolve", incident_id, note)

    def finish(self, result: Optional[Mapping[str, Any]] = None) -> None:
        """Gives the result of the run that this process was started for, and stops. result: with "ok": False, and a
        "reason", the run has failed, whatever the exit code. Raises DaemonError INVALID_REQUEST if it was not started for
        a run: a task in a message is answered by `reply`."""
        if self.run_id is None:
            message = "%s was not started for a run: OPENSTARRY_RUN_ID is not there" % self.id
            raise DaemonError("INVALID_REQUEST", message)
        self.send(_RUNS, "TASK_RESULT", {"ok": True, **(result or {})}, correlation_id=self.run_id)
        self.stop()

    def logs(self, tail: int = 100, agent_id: Optional[str] = None) -> List[str]:
        """The last lines that this agent, or one that it has created, has written."""
        path = "/agents/%s/logs" % segment(agent_id or self.id)
        return self._client.text("GET", path, query={"tail": tail}).splitlines()

    def run(self) -> None:
        """Receives until it is to stop: by `stop`, or by SIGTERM or SIGINT, after which the process ends with 0. Raises what
        made it impossible to go on, such as DaemonError STALE_INCARNATION."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """The first half of `run`: it receives in threads, and returns."""
        with self._lock:
            if self._is_running:
                return
            self._is_running = True
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._signalled)
        if self._wants_beats:
            self._beats.start()
        if self._handlers:
            self._receive()

    def wait(self) -> None:
        """The second half of `run`."""
        while not self.ended.wait(3600):
            pass
        if self.failure is not None:
            raise self.failure
        if self._is_signalled:
            sys.exit(0)

    def stop(self) -> None:
        """Takes no more messages, lets handlers end within the grace, gives back the rest. Does not wait for that."""
        with self._lock:
            if self._going_down is not None:
                return
            self._going_down = threading.Thread(target=self._go_down, name="openstarry-stop", daemon=True)
        self.stopping.set()
        self._going_down.start()

    def fail(self, error: BaseException) -> None:
        """Stops because of an error, which `run` raises."""
        self._log("cannot go on: %s" % error)
        if self.failure is None:
            self.failure = error
        self.stop()

    def _signalled(self, _number: int, _frame: Any) -> None:
        if self._is_signalled:
            os._exit(1)
        self._is_signalled = True
        self.stop()

    def _go_down(self) -> None:
        self._answers.cut(all=False)
        work = threading.Thread(target=self._finish, args=(time.monotonic() + self._grace,), daemon=True)
        work.start()
        work.join(self._grace)
        if work.is_alive():
            self._log("is stopped before everything that was begun has ended: what was not comes again")
        self._answers.cut()
        self._beats.stop()
        self.ended.set()

    def _finish(self, until: float) -> None:
        try:
            for receiver in self._receivers:
                receiver.halt()
            for receiver in self._receivers:
                receiver.join(until)
            for subscription in self._subscriptions:
                subscription.close(until)
            for ending in self._endings:
                call(ending)
        except Exception as error:
            self.failure = self.failure or error

    def _receive(self) -> None:
        for receiver in self._receivers:
            receiver.start()

    def _deal(self, message: Message) -> None:
        if self._answers.take(message):
            return
        handler = self._handlers.get(message.type) or self._handlers.get("*")
        if handler is not None:
            call(handler, message)
        elif message.sender != "_daemon":
            raise Reject("%s has no handler for %s" % (self.id, message.type))
        else:
            # What the daemon says need not interest everybody; whoever else is not understood should know.
            self._log("%s of the daemon has no handler: %s" % (message.type, json.dumps(message.payload)))

    def _to_stderr(self, line: str) -> None:
        print("[%s] %s" % (self.id, line), file=sys.stderr, flush=True)


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Calls what may be asynchronous."""
    result = function(*args)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Any) -> Any:
    return await result


def _keyed(message: Mapping[str, Any]) -> Dict[str, Any]:
    """Under the same key it is one message, however often it is sent."""
    return {"idempotency_key": str(uuid.uuid4()), **message}
