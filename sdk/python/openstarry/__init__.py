"""What an agent of the OpenStarry Orchestrator Daemon imports. Python's standard library only, 3.9 or newer."""

from .agent import Agent
from .agent_manager import FUNCTIONS, AgentManagerTool
from .errors import DaemonError, Reject, Retry
from .messages import Message
from .runner import is_agent_class, run
from .state import StateEntry, StateScope
from .subscription import Subscription, TopicEvent

__all__ = [
    "FUNCTIONS",
    "Agent",
    "AgentManagerTool",
    "DaemonError",
    "Message",
    "Reject",
    "Retry",
    "StateEntry",
    "StateScope",
    "Subscription",
    "TopicEvent",
    "is_agent_class",
    "run",
]
