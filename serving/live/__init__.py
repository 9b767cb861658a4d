"""What is told to the service while it runs: events that are taken, and what they change."""

from serving.live.event import EventsTaken, LiveEvent
from serving.live.intake import Intake
from serving.live.routes import add_event_routes

__all__ = ["EventsTaken", "Intake", "LiveEvent", "add_event_routes"]
