"""Chief: hears first when something is wrong. What it has taken care of, people need not be told."""

from .desk import Desk


class Chief(Desk):
    def handle_message(self, message):
        if message.type != "ESCALATION":
            return
        incident_id, summary = message.payload["incident_id"], message.payload["summary"]
        self.say("told: %s" % summary)
        self.agent.acknowledge(incident_id, note="the chief looks after it")
        # What it was told, in the order in which it was told it.
        kept = self.agent.shared.get("chief/%s" % incident_id)
        told = kept.value["told"] if kept else []
        self.agent.shared.put("chief/%s" % incident_id, {"told": told + [summary]})
