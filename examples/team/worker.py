"""Works off tasks of a queue, one at a time: how many primes are there below a number? With FAULTY each task makes it
crash, as a worker with a bug would. Run as `python -m openstarry worker:Worker`."""

import os
import sys


class Worker:
    def __init__(self, agent):
        self.agent = agent
        self.faulty = os.environ.get("FAULTY") == "yes"
        self.done = 0

    def start(self):
        self.say("started, pid %d" % os.getpid())

    def stop(self):
        self.say("stops after %d tasks" % self.done)

    def handle_message(self, message):
        below = message.payload["below"]
        if self.faulty:
            # The task is not lost: it is handed out again as soon as this process is gone.
            print("worker.py: a bug", file=sys.stderr, flush=True)
            os._exit(1)
        self.agent.heartbeat(progress="primes below %d" % below)
        self.agent.reply(message, "TASK_RESULT", {"ok": True, "worker": self.agent.id, "result": primes(below)})
        self.done += 1

    def say(self, line):
        print("[%s] %s" % (self.agent.id, line))
        self.agent.publish("team.says", {"line": line})


def primes(below):
    sieve = bytearray([1]) * max(below, 2)
    sieve[0:2] = b"\0\0"
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return sum(sieve[:below])
