"""The tool by which an agent manages others. It decides and executes nothing: each action is one call to the daemon."""

import json
import os

from .client import Client, environment, segment, variable
from .errors import DaemonError

with open(os.path.join(os.path.dirname(__file__), "functions.json"), encoding="utf-8") as _file:
    #: JSON Schemas of all actions, for function calling.
    FUNCTIONS = json.load(_file)

_TYPES = {"string": str, "object": dict, "integer": int}


class AgentManagerTool:
    """execute(action="agent:start", agent_id=..., template_id=...): one call to the daemon, and its answer."""

    def __init__(self, url=None, token=None, timeout=60.0):
        """By default with what the daemon puts into the environment of every agent."""
        env = environment()
        self._client = Client(url or variable(env, "OPENSTARRY_API_URL"), token or variable(env, "OPENSTARRY_TOKEN"))
        self._timeout = timeout

    def execute(self, action=None, **args):
        """Raises DaemonError with the code of the daemon's refusal. Also takes one dict with all of it."""
        if isinstance(action, dict):
            args = {**action, **args}
            action = args.pop("action", None)
        name = _name_of(action)
        args = {key: value for key, value in args.items() if value is not None}
        _check(name, args)
        return getattr(self, "_" + name[len("agent_"):])(**args)

    def _start(self, **body):
        return self._call("POST", "/agents", body=body)

    def _stop(self, agent_id, grace=None):
        answer = self._call("DELETE", _path(agent_id), {"grace": grace})
        return {"agent_id": agent_id, "deleted": answer.get("deleted", False)}

    def _status(self, agent_id):
        return self._call("GET", _path(agent_id))

    def _list(self, **query):
        return self._call("GET", "/agents", query)

    def _restart(self, agent_id):
        return self._call("POST", _path(agent_id) + "/restart")

    def _signal(self, agent_id, name):
        return self._call("POST", _path(agent_id) + "/signal", body={"name": name})

    def _pause(self, agent_id):
        return self._call("POST", _path(agent_id) + "/pause")

    def _resume(self, agent_id):
        return self._call("POST", _path(agent_id) + "/resume")

    def _logs(self, agent_id, tail=100):
        text = self._send("GET", _path(agent_id) + "/logs", {"tail": tail})
        return {"agent_id": agent_id, "lines": text.splitlines()}

    def _call(self, method, path, query=None, body=None):
        return json.loads(self._send(method, path, query, body))

    def _send(self, method, path, query=None, body=None):
        return self._client.send(method, path, query, body, self._timeout)


def _path(agent_id):
    return "/agents/" + segment(agent_id)


def _name_of(action):
    """agent:start, agent.start and agent_start are one."""
    name = action.replace("agent:", "agent_", 1).replace("agent.", "agent_", 1) if isinstance(action, str) else ""
    known = [function["name"] for function in FUNCTIONS]
    if name in known:
        return name
    expected = ", ".join(each.replace("_", ":", 1) for each in known)
    raise DaemonError("INVALID_REQUEST", "action is %r; expected one of %s" % (action, expected))


def _check(name, args):
    """The rest is checked by the daemon, which knows best."""
    parameters = next(function["parameters"] for function in FUNCTIONS if function["name"] == name)
    properties = parameters["properties"]
    problem = None
    for field in parameters["required"]:
        if field not in args:
            problem = (field, "is missing")
    for field, value in args.items():
        if field not in properties:
            problem = (field, "is not known; known: " + ", ".join(properties))
        elif not isinstance(value, _TYPES[properties[field]["type"]]):
            problem = (field, "is %r; expected %s" % (value, properties[field]["type"]))
    if problem:
        message = "%s: %s %s" % (name.replace("_", ":", 1), problem[0], problem[1])
        raise DaemonError("INVALID_REQUEST", message, details={"field": problem[0]})
