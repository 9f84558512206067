"""Runs a class as an agent."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import threading
from typing import Any, Callable, Optional, Type

from .agent import Agent, call
from .messages import Message

_HOOKS = ("start", "handle_cron", "handle_message")


def is_agent_class(value: Any) -> bool:
    """True for a class with one of start, handle_cron and handle_message."""
    return isinstance(value, type) and any(callable(getattr(value, name, None)) for name in _HOOKS)


def run(agent_class: Type[Any], **options: Any) -> None:
    """Runs a class as an agent, until the daemon stops it. All of these may be missing, and may be asynchronous:

    - __init__ with no argument, or with one: the Agent. Else it is set as `self.agent`, before `start`.
    - start: called at the start; it may return, or go on until `stop` is called.
    - stop: called at the end, after the last message.
    - handle_cron: what the schedule asks for; it may take the message.
    - handle_message: every other message.

    One that handles nothing ends when its `start` has returned. options: those of Agent."""
    agent = Agent(**options)
    own = agent_class(agent) if _takes_one(agent_class) else agent_class()
    if not hasattr(own, "agent"):
        own.agent = agent
    cron: Optional[Callable[..., Any]] = getattr(own, "handle_cron", None)
    message: Optional[Callable[..., Any]] = getattr(own, "handle_message", None)
    if cron is not None:
        agent.on_cron(_handler(cron))
    if message is not None:
        agent.on("*", _handler(message))
    started = threading.Event()

    def end() -> None:
        stop = getattr(own, "stop", None)
        if stop is not None:
            call(stop)
        started.wait()

    agent.on_stop(end)
    agent.begin()
    # A `start` that never returns must not keep the process for longer than a stop may take.
    threading.Thread(target=_leave, args=(agent, started), daemon=True).start()
    try:
        if hasattr(own, "start"):
            call(own.start)
        if cron is None and message is None:
            agent.stop()
    except Exception as error:
        agent.fail(error)
    finally:
        started.set()
    agent.wait()


def load(name: str) -> Type[Any]:
    """The class that `package.module:Class` names."""
    module, colon, path = name.partition(":")
    if not colon or not path:
        raise SystemExit("openstarry: %r names no class; expected package.module:Class" % name)
    target: Any = importlib.import_module(module)
    for part in path.split("."):
        target = getattr(target, part)
    if not is_agent_class(target):
        raise SystemExit("openstarry: %s is no class with %s" % (name, ", ".join(_HOOKS)))
    found: Type[Any] = target
    return found


def _leave(agent: Agent, started: threading.Event) -> None:
    agent.ended.wait()
    if not started.wait(0.5):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if agent.failure is None else 1)


def _handler(method: Callable[..., Any]) -> Callable[[Message], Any]:
    """`handle_cron(self)` and `handle_cron(self, message)` are both understood."""
    return method if _takes_one(method) else lambda _message: method()


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    return any(
        each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL) for each in parameters
    )
