"""Several devices: as two logical CPUs, which TensorFlow makes before it starts or never."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from training.devices import all_devices
from training.runtime import tf

TWO = """
import sys
from profilestore.settings import quiet_tensorflow
quiet_tensorflow()
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import pytest
sys.exit(pytest.main(["-p", "no:cacheprovider", "-W", "default", sys.argv[1]]))
"""


def test_two_devices() -> None:
    tests = Path(__file__).with_name("on_two_devices.py")
    done = subprocess.run(
        [sys.executable, "-c", TWO, str(tests)],
        cwd=tests.parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "failed" not in done.stdout


def test_one_device_is_tensorflows_own() -> None:
    assert len(tf.config.list_logical_devices("GPU")) < 2
    assert all_devices() is tf.distribute.get_strategy()
