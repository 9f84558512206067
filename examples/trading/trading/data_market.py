"""Data: at each call of the schedule it publishes the next price of the series."""

import csv
import pathlib

from .desk import Desk

SERIES = pathlib.Path(__file__).with_name("prices.csv")


def prices():
    with SERIES.open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [float(row["price"]) for row in rows]


class DataMarket(Desk):
    def __init__(self, agent):
        super().__init__(agent)
        self.prices = prices()
        # What the process before this one has published last.
        self.last = agent.snapshot() or {"n": -1, "at": None}

    def handle_cron(self, message):
        at = message.payload["scheduled_at"]
        if at == self.last["at"]:
            return  # handed out again after a crash: it has been dealt with
        n = self.last["n"] + 1
        # The key makes it one event, also if this process dies before it is saved.
        self.agent.publish("market.price", {"n": n, "price": self.prices[n % len(self.prices)], "at": at}, key=at)
        self.last = {"n": n, "at": at}
        self.agent.save_snapshot(self.last)
