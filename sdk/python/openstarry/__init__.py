"""What an agent of the OpenStarry Orchestrator Daemon imports: the AgentManagerTool. Standard library only, 3.8 or newer."""

from .agent_manager import FUNCTIONS, AgentManagerError, AgentManagerTool

__all__ = ["FUNCTIONS", "AgentManagerError", "AgentManagerTool"]
