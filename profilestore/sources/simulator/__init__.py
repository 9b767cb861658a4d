"""An invented population with known tastes, its raw logs with known dirt, and the truth of both.

Data flows one way: catalogue and population (who there is) -> shop, network, orders (what they do)
-> dirt (what goes wrong) -> lines (how it is written) -> writing and truth (where it goes).
"""

from profilestore.sources.simulator.dirt import RATES, Kind, Rates
from profilestore.sources.simulator.simulation import FORMAT, Simulation, simulate
from profilestore.sources.simulator.truth import Counts

__all__ = ["FORMAT", "RATES", "Counts", "Kind", "Rates", "Simulation", "simulate"]
