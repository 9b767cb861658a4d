"""The numbers of a process are kept in the process."""

from __future__ import annotations

import os
import subprocess
import sys


def test_numbers_are_not_kept_in_files() -> None:
    # Feast has the library keep them in files of a folder it makes, if it is the first to load it.
    program = (
        "import serving.app, prometheus_client.values as values;print(values.ValueClass.__name__)"
    )
    environment = {name: said for name, said in os.environ.items() if "PROMETHEUS" not in name}
    command = [sys.executable, "-c", program]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert told.stdout.split()[-1] == "MutexValue"
