"""Where raw logs come from: one module per source, one function that writes them.

`write_raw_logs` leaves Parquet files in `data/raw/<pack>/`, which the dbt project stages, and
`clock.json` beside them. Nothing here changes a raw value or a raw time.
"""

from profilestore.sources.clock import Active, Clock, active_log, read_clock
from profilestore.sources.raw_log import (
    PACKS,
    RawLog,
    land_live_log,
    packs_to_build,
    write_raw_logs,
)

__all__ = [
    "PACKS",
    "Active",
    "Clock",
    "RawLog",
    "active_log",
    "land_live_log",
    "packs_to_build",
    "read_clock",
    "write_raw_logs",
]
