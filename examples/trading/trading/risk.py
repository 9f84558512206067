"""Risk: lets an order through, or refuses it. Critical: without it nothing may be traded, so its death stops the whole desk."""

from .desk import Desk

MAX_POSITION = 3


class Risk(Desk):
    def handle_message(self, message):
        if message.type != "ORDER":
            return
        order = message.payload
        entry = self.agent.shared.get("portfolio")
        position = entry.value["position"] if entry else 0
        after = position + (order["quantity"] if order["side"] == "buy" else -order["quantity"])
        if abs(after) > MAX_POSITION:
            why = "a position of %d (limit %d)" % (after, MAX_POSITION)
            self.agent.publish("desk.refused", {"order": order, "why": why}, key="refused-%d" % order["n"])
            return
        self.agent.send("investor", "ORDER", order, priority=message.priority, ttl="1m", idempotency_key="passed-%d" % order["n"])
