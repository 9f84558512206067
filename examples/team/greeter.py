"""Greets a friend every two seconds, and reads what comes. Run as `python -m openstarry greeter:Greeter`."""

import os

from openstarry import DaemonError

EVERY = 2.0


class Greeter:
    def __init__(self, agent):
        self.agent = agent
        self.friend = os.environ["FRIEND"]
        # What the process before this one has saved.
        self.greeted = (agent.snapshot() or {"greeted": 0})["greeted"]

    def start(self):
        before = ", %d greetings so far" % self.greeted if self.greeted else ""
        self.say("started, pid %d%s" % (os.getpid(), before))
        while not self.agent.stopping.wait(EVERY):
            self.greet()

    def stop(self):
        self.agent.save_snapshot({"greeted": self.greeted})
        self.say("stops after %d greetings" % self.greeted)

    def handle_cron(self):
        self.greet()

    def handle_message(self, message):
        text = message.payload if isinstance(message.payload, str) else message.payload.get("text")
        self.agent.publish("team.read", {"by": self.agent.id, "from": message.sender, "text": text, "priority": message.priority})
        self.say("read from %s, priority %d: %s" % (message.sender, message.priority, text))
        # Somebody who waits for an answer gets one: `sessions send alice "…" --wait 5s`.
        if message.reply_to is not None:
            self.agent.reply(message, "TEXT", "%s has read: %s" % (self.agent.id, text))

    def greet(self):
        try:
            self.agent.send(self.friend, "TEXT", "hello %s, this is number %d" % (self.friend, self.greeted + 1), ttl="1m")
            self.greeted += 1
        except DaemonError as error:
            self.say("cannot greet %s: %s" % (self.friend, error.message))

    def say(self, line):
        print("[%s] %s" % (self.agent.id, line))
        self.agent.publish("team.says", {"line": line})
