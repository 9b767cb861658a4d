"""Starting TensorFlow: its environment, its chatter, its device. Imported before anything of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from profilestore.settings import quiet_tensorflow


@contextmanager
def _without_chatter() -> Iterator[None]:
    """What the block writes to file descriptor 2 is shown only if it raises.

    TensorFlow's libraries write there before their loggers can be told not to.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


quiet_tensorflow()
with _without_chatter():
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    _GPUS = tf.config.list_physical_devices("GPU")
    # The first operations start the device and oneDNN, and what they have to say.
    tf.function(tf.transpose)(tf.zeros((2, 2), tf.int32))

DEVICE = tf.config.experimental.get_device_details(_GPUS[0])["device_name"] if _GPUS else "CPU"

__all__ = ["DEVICE", "tf", "tfrs"]
