"""What somebody must know, and what somebody must decide."""

from __future__ import annotations

import math
import time
import uuid
from typing import Any, Dict, Mapping, Optional, Union

from .client import Cancel, Client, segment
from .errors import Cancelled, DaemonError
from .messages import Answers, Message, Question, acknowledge, give_back, path_of, stopping

#: {"command": "restart", "agent_id": "w1"}, which the daemon carries out; or a text: then the asker does it.
ProposedAction = Union[str, Mapping[str, str]]

#: Seconds between two looks at the incident, if nothing rings.
_LOOK = 20.0
#: Seconds. A report that was accepted may take a moment to be shown.
_APPEARS_WITHIN = 15.0


class Incidents:
    def __init__(self, client: Client, answers: Answers, agent_id: str) -> None:
        self._client = client
        self._answers = answers
        self._agent_id = agent_id

    def report(self, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Sent again after trouble, it is still one report."""
        given = {key: value for key, value in body.items() if value is not None}
        incident: Dict[str, Any] = self._client.json(
            "POST", "/incidents", body=given, idempotency_key=str(uuid.uuid4())
        )
        return incident

    def propose(
        self,
        action: ProposedAction,
        reason: str,
        risk: str,
        expires: Optional[str] = None,
        on_expiry: Optional[str] = None,
        **body: Any,
    ) -> Dict[str, Any]:
        incident_id = body.get("incident_id")
        known = None if incident_id is None else self._find(incident_id)
        if known is not None and known["proposal"] is not None:
            return known
        proposal = {"action": action, "reason": reason, "risk": risk, "expires": expires, "on_expiry": on_expiry}
        body["proposal"] = {key: value for key, value in proposal.items() if value is not None}
        if isinstance(action, str):
            what = action
        else:
            what = "%s %s" % (action.get("command"), action.get("agent_id"))
            body["agent_id"] = body.get("agent_id") or action.get("agent_id")
        body["summary"] = body.get("summary") or "%s proposes: %s" % (self._agent_id, what)
        return self.report(body)

    def get(self, incident_id: str) -> Dict[str, Any]:
        incident: Dict[str, Any] = self._client.json("GET", _path_of(incident_id))
        return incident

    def act(self, verb: str, incident_id: str, note: Optional[str]) -> Dict[str, Any]:
        body = {} if note is None else {"note": note}
        incident: Dict[str, Any] = self._client.json("POST", "%s/%s" % (_path_of(incident_id), verb), body=body)
        return incident

    def decision(self, incident_id: str, timeout: Optional[float]) -> Dict[str, Any]:
        """The message to the asker rings; what is decided stands in the incident, also if that message was heard long ago."""
        question = Question(is_answer=_is_decision, patient=True)
        self._answers.listen(incident_id, question)
        try:
            return self._look(incident_id, math.inf if timeout is None else timeout, question.done)
        except Cancelled:
            if question.answer is None:
                stopping(self._agent_id)
            decision: Dict[str, Any] = question.answer.payload
            return decision
        finally:
            self._answers.close(incident_id, question)

    def _look(self, incident_id: str, timeout: float, done: Cancel) -> Dict[str, Any]:
        begun = time.monotonic()
        after = None
        while True:
            waited = time.monotonic() - begun
            decided = self._decided(incident_id, waited < _APPEARS_WITHIN)
            if decided is not None:
                self._clear(incident_id)
                return decided
            left = timeout - waited
            if left <= 0:
                message = "Nobody has decided %s in time; it still waits" % incident_id
                raise DaemonError("REQUEST_TIMEOUT", message)
            wait = min(_LOOK, left)
            query = {
                "queue": "@" + self._agent_id,
                "correlation_id": incident_id,
                "wait": "%dms" % max(1, wait * 1000),
                "after": after,
            }
            page = self._client.json(
                "GET", "/messages", query=query, timeout=wait + 10, retry_for=left, cancel=done
            )
            after = page["next"]

    def _clear(self, incident_id: str) -> None:
        """Its message is of no use any more; one that stays goes to a handler."""
        query = {"correlation_id": incident_id, "max": 10}
        try:
            found = self._client.json("GET", path_of(self._agent_id), query=query, retry_for=0)
            for message in map(Message.of, found["messages"]):
                settle = acknowledge if _is_decision(message) else give_back
                settle(self._client, self._agent_id, message)
        except DaemonError:
            pass

    def _decided(self, incident_id: str, may_appear: bool) -> Optional[Dict[str, Any]]:
        incident = self._find(incident_id) if may_appear else self.get(incident_id)
        if incident is None:
            return None
        proposal, made, resolved = incident["proposal"], incident["decision"], incident["resolved"]
        if proposal is None:
            raise DaemonError("NOT_AN_APPROVAL", "%s has no proposal to be decided" % incident_id)
        known = {"incident_id": incident_id, "action": proposal["action"]}
        if made is not None:
            word = {"decision": made["verdict"], "by": made["by"], "at": made["at"], "reason": made["note"] or ""}
            return {**known, **word}
        if resolved is not None:
            word = {"decision": "withdrawn", "by": resolved["by"], "at": None, "reason": resolved["reason"] or ""}
            return {**known, **word}
        return None

    def _find(self, incident_id: str) -> Optional[Dict[str, Any]]:
        try:
            return self.get(incident_id)
        except DaemonError as error:
            if error.code == "INCIDENT_NOT_FOUND":
                return None
            raise


def _path_of(incident_id: str) -> str:
    return "/incidents/" + segment(incident_id)


def _is_decision(message: Message) -> bool:
    return message.type == "APPROVAL_DECISION" and message.sender == "_daemon"
