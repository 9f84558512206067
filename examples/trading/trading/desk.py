"""What all five share."""

import os


class Desk:
    """An agent of the desk."""

    def __init__(self, agent):
        self.agent = agent

    def start(self):
        self.say("started, pid %d" % os.getpid())

    def stop(self):
        self.say("stops")

    def say(self, line):
        print("[%s] %s" % (self.agent.id, line), flush=True)
