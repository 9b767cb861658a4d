"""How the service fares: a line a request, numbers for Prometheus, traces where they are wanted.

Nothing of it says who was asked for: a request is known by its route, and not by its path.

| module | what it holds |
| --- | --- |
| `metrics` | the numbers |
| `tracing` | spans of OpenTelemetry, if there is somewhere to send them |
| `timing` | how long a store, the model or the log took: both of these |
| `requests` | what stands around every request |
| `lines` | the log as lines of JSON |
"""

from serving.telemetry.lines import log_json
from serving.telemetry.requests import Requests
from serving.telemetry.timing import timed
from serving.telemetry.tracing import trace_to

__all__ = ["Requests", "log_json", "timed", "trace_to"]
