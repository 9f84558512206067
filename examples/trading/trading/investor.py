"""Investor: carries orders out, on paper, and at each call of the schedule tells how the portfolio stands."""

from .desk import Desk

EMPTY = {"position": 0, "cash": 0.0, "orders": 0, "last": None}


class Investor(Desk):
    def handle_message(self, message):
        if message.type != "ORDER":
            return
        order = message.payload
        entry = self.agent.shared.get("portfolio")
        portfolio, version = (entry.value, entry.version) if entry else (EMPTY, 0)
        if portfolio["last"] is not None and order["n"] <= portfolio["last"]:
            return  # handed out again after a crash: it has been carried out
        sign = 1 if order["side"] == "buy" else -1
        self.agent.shared.compare_and_set(
            "portfolio",
            version,
            {
                "position": portfolio["position"] + sign * order["quantity"],
                "cash": round(portfolio["cash"] - sign * order["quantity"] * order["price"], 3),
                "orders": portfolio["orders"] + 1,
                "last": order["n"],
            },
        )

    def handle_cron(self, message):
        entry = self.agent.shared.get("portfolio")
        portfolio = entry.value if entry else EMPTY
        self.agent.publish("desk.portfolio", portfolio, key=message.payload["scheduled_at"])
        self.say("portfolio: position %(position)d, cash %(cash).2f after %(orders)d orders" % portfolio)
