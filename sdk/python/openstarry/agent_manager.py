"""The tool by which an agent manages others. It decides and executes nothing: each action is one call to the daemon."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

with open(os.path.join(os.path.dirname(__file__), "functions.json"), encoding="utf-8") as _file:
    #: JSON Schemas of all actions, for function calling.
    FUNCTIONS = json.load(_file)

_TYPES = {"string": str, "object": dict, "integer": int}


class AgentManagerError(Exception):
    """A refusal of the daemon, with its code, such as AGENT_EXISTS; see the daemon's docs/errors.md."""

    def __init__(self, code, message, remedy="", details=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.details = details or {}

    def __str__(self):
        return "%s: %s" % (self.code, self.message)


class AgentManagerTool:
    """execute(action="agent:start", agent_id=..., template_id=...): one call to the daemon, and its answer."""

    def __init__(self, url=None, token=None, timeout=60.0):
        """By default with what the daemon puts into the environment of every agent."""
        self._url = (url or _environment("OPENSTARRY_API_URL")).rstrip("/")
        self._token = token or _environment("OPENSTARRY_TOKEN")
        self._timeout = timeout
        # The daemon is on this machine: never through a proxy that the environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def execute(self, action=None, **args):
        """Raises AgentManagerError with the code of the daemon's refusal. Also takes one dict with all of it."""
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
        given = {key: value for key, value in (query or {}).items() if value is not None}
        url = self._url + path + ("?" + urllib.parse.urlencode(given) if given else "")
        headers = {"Authorization": "Bearer " + self._token}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise AgentManagerError("DAEMON_NOT_RUNNING", "%s does not answer: %s" % (self._url, reason)) from error


def _environment(name):
    value = os.environ.get(name)
    if value:
        return value
    raise AgentManagerError(
        "INVALID_REQUEST", "%s is not in the environment: run this as an agent of the daemon, or give url and token" % name
    )


def _path(agent_id):
    return "/agents/" + urllib.parse.quote(agent_id, safe="")


def _name_of(action):
    """agent:start, agent.start and agent_start are one."""
    name = action.replace("agent:", "agent_", 1).replace("agent.", "agent_", 1) if isinstance(action, str) else ""
    known = [function["name"] for function in FUNCTIONS]
    if name in known:
        return name
    expected = ", ".join(each.replace("_", ":", 1) for each in known)
    raise AgentManagerError("INVALID_REQUEST", "action is %r; expected one of %s" % (action, expected))


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
        raise AgentManagerError("INVALID_REQUEST", message, details={"field": problem[0]})


def _refusal(status, body):
    try:
        error = json.loads(body)["error"]
        return AgentManagerError(error["code"], error["message"], error.get("remedy", ""), error.get("details"))
    except (ValueError, KeyError, TypeError):
        return AgentManagerError("HTTP_%d" % status, body[:200].decode(errors="replace"))
