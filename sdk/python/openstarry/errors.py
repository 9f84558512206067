"""What a call of the daemon may fail with, and what a handler may raise."""

from __future__ import annotations

from typing import Any, Dict, Optional


class DaemonError(Exception):
    """A refusal of the daemon, with its code, such as AGENT_EXISTS; see the daemon's docs/errors.md. Match it by code."""

    def __init__(self, code: str, message: str, remedy: str = "", details: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.details = details or {}

    def __str__(self) -> str:
        return "%s: %s" % (self.code, self.message)


class HttpFailure(DaemonError):
    """Why there is no answer that counts, and whether the request may have had its effect all the same."""

    def __init__(
        self,
        code: str,
        message: str,
        remedy: str = "",
        details: Optional[Dict[str, Any]] = None,
        status: int = 0,
        without_effect: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(code, message, remedy, details)
        #: 0 if nobody answered.
        self.status = status
        #: True if the daemon cannot have carried it out.
        self.without_effect = without_effect
        #: Seconds that the daemon asks to be left alone for.
        self.retry_after = retry_after


class Reject(Exception):
    """Raised by a handler: the message is given up, and its sender is told why."""


class Retry(Exception):
    """Raised by a handler: the message comes again after a while. Any other error does the same, after the queue's pause."""

    def __init__(self, reason: str, delay: Optional[str] = None) -> None:
        """delay: such as "30s"; by default what the queue's `retry` says."""
        super().__init__(reason)
        self.delay = delay


class Cancelled(Exception):
    """The waiting was ended from inside this process."""
