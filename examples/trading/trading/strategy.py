"""Strategy: buys when the short moving average crosses the long one from below, sells when it does from above."""

from collections import deque

from .desk import Desk

SHORT, LONG = 3, 8


class Strategy(Desk):
    def __init__(self, agent):
        super().__init__(agent)
        kept = agent.snapshot() or {"prices": [], "side": None, "n": -1}
        self.prices = deque(kept["prices"], maxlen=LONG)
        self.side = kept["side"]
        self.n = kept["n"]

    def start(self):
        super().start()
        # From the first price on; by name, so that the next process goes on where this one ends.
        self.agent.subscribe("market.price", self.see, after=0, name="strategy")
        self.agent.stopping.wait()

    def see(self, event):
        n, price = event.payload["n"], event.payload["price"]
        if n <= self.n:
            return  # read again after a crash
        self.prices.append(price)
        side = self.turn()
        if side is not None:
            self.side = side
            order = {"side": side, "quantity": 1, "price": price, "n": n}
            # The same order again, after a crash, is the same message.
            self.agent.send("risk", "ORDER", order, priority=6, ttl="1m", idempotency_key="order-%d" % n)
        self.n = n
        self.agent.save_snapshot({"prices": list(self.prices), "side": self.side, "n": n})

    def turn(self):
        """The side to take, if it is another one than before."""
        if len(self.prices) < LONG:
            return None
        side = "buy" if mean(list(self.prices)[-SHORT:]) > mean(self.prices) else "sell"
        return None if side == self.side else side


def mean(values):
    return sum(values) / len(values)
