"""The Master Agent of the quickstart: asks the daemon for a worker, follows it, and stays as its supervisor.

It knows the daemon only by its REST API, with the three variables that every agent gets:
OPENSTARRY_API_URL, OPENSTARRY_TOKEN (its own rights, nobody else's) and OPENSTARRY_AGENT_ID.
Python's standard library only, 3.8 or newer.
"""

import argparse
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

REPORT = "machine_report"
POLL_SECONDS = 0.3
SUPERVISE_SECONDS = 3
SETTLED = ("completed", "stopped", "disabled")


class ApiError(Exception):
    """A refusal of the API: its code, such as AGENT_EXISTS, and a message for people."""

    def __init__(self, status, code, message, remedy=""):
        super().__init__("%s (%s)%s" % (message, code, ". " + remedy if remedy else ""))
        self.status = status
        self.code = code


class Daemon:
    """The few calls of the REST API that a master needs."""

    def __init__(self, url, token):
        self.url = url.rstrip("/")
        self.token = token
        # The daemon is on this machine: never through a proxy that the environment names.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def create(self, agent_id, template_id, variables):
        body = {"agent_id": agent_id, "template_id": template_id, "variables": variables}
        return self.call("POST", "/agents", body)

    def show(self, agent_id):
        return self.call("GET", "/agents/" + agent_id)

    def call(self, method, path, body=None):
        """Calls until there is an answer: the daemon may be restarting while its agents run on."""
        told = False
        while True:
            try:
                return self.call_once(method, path, body)
            except ApiError as error:
                if error.status != 503:
                    raise
                reason = str(error)
            except OSError as error:
                reason = str(getattr(error, "reason", error))
            if not told:
                say("The daemon does not answer at the moment (%s). I wait." % reason)
                told = True
            time.sleep(0.5)

    def call_once(self, method, path, body):
        headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with self.opener.open(request, timeout=40) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(error.code, error.read()) from None


def refusal(status, body):
    try:
        error = json.loads(body)["error"]
        return ApiError(status, error["code"], error["message"], error.get("remedy", ""))
    except (ValueError, KeyError, TypeError):
        return ApiError(status, "HTTP_%d" % status, body[:200].decode(errors="replace"))


def say(line):
    print(line, flush=True)


def report_path():
    return os.path.join(os.getcwd(), "reports", REPORT + ".md")


def engage(daemon, worker, template):
    """Asks for the worker, or finds the one that an earlier start asked for."""
    say("I ask the daemon for a worker: %s from template %s." % (worker, template))
    try:
        agent = daemon.create(worker, template, {"report": REPORT})
        say("%s runs%s and measures this machine for some seconds." % (worker, pid_of(agent)))
        return agent
    except ApiError as error:
        if error.code != "AGENT_EXISTS":
            raise
    agent = daemon.show(worker)
    say("%s exists already; it is %s." % (worker, agent["state"]))
    return agent


def pid_of(agent):
    return " (pid %s)" % agent["pid"] if agent.get("pid") else ""


def supervise(daemon, worker, agent):
    """Tells each new state of the worker, for as long as this process lives."""
    told = None
    while True:
        news = (agent["state"], agent.get("generation"))
        if news != told and news[0] in SETTLED:
            tell_outcome(worker, agent)
        elif told is not None and news != told:
            reason = agent.get("reason")
            say("%s is %s%s%s" % (worker, agent["state"], pid_of(agent), ": " + reason if reason else "."))
        told = news
        time.sleep(SUPERVISE_SECONDS if agent["state"] in SETTLED else POLL_SECONDS)
        try:
            agent = daemon.show(worker)
        except ApiError as error:
            if error.code != "AGENT_NOT_FOUND":
                raise
            agent = {"state": "deleted", "reason": "somebody deleted it, and I leave it at that."}


def tell_outcome(worker, agent):
    if agent["state"] != "completed":
        say("%s is %s: %s" % (worker, agent["state"], agent.get("reason") or "no reason given."))
        return
    if not os.path.exists(report_path()):
        say("%s has completed, but its report %s is gone. POST /agents/%s/start makes it anew." % (worker, report_path(), worker))
        return
    say("%s has done its work. The report: %s" % (worker, report_path()))
    for line in headlines():
        say("  " + line)
    say("I stay and watch over it. Try: kill -9 %d, and the daemon starts me again." % os.getpid())


def headlines():
    """The summary that stands at the top of the report."""
    with open(report_path(), encoding="utf-8") as report:
        lines = [line.strip() for line in report]
    return [line[2:] for line in lines if line.startswith("- ")][:4]


def main():
    # A master has nothing to tidy up: it ends at once when the daemon asks.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: os._exit(0))
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--worker", default="data_worker_007")
    arguments.add_argument("--template", default="DataAnalystAgent_v1")
    options = arguments.parse_args()
    missing = [name for name in ("OPENSTARRY_API_URL", "OPENSTARRY_TOKEN", "OPENSTARRY_AGENT_ID") if not os.environ.get(name)]
    if missing:
        sys.exit("%s not set: this program is started by the daemon, see README.md" % ", ".join(missing))
    say("I am the Master Agent, %s (pid %d)." % (os.environ["OPENSTARRY_AGENT_ID"], os.getpid()))
    daemon = Daemon(os.environ["OPENSTARRY_API_URL"], os.environ["OPENSTARRY_TOKEN"])
    try:
        supervise(daemon, options.worker, engage(daemon, options.worker, options.template))
    except ApiError as error:
        sys.exit("The daemon refuses: %s" % error)


if __name__ == "__main__":
    main()
