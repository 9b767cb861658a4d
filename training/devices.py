"""Where a training runs, and how precisely: on the one device there is, or on all GPUs seen.

Several devices take a batch each in every step and add up their gradients, so that a step is one of
a batch as many times as large; candidates are compared within each device's batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from profilestore.errors import InputError
from training.batches import Source, batches, steps_of_epoch
from training.config import TrainConfig
from training.runtime import tf
from training.two_tower import TwoTower


def all_devices() -> tf.distribute.Strategy:
    """The strategy for what is seen: mirrored over several GPUs, else TensorFlow's default."""
    gpus = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()


@contextmanager
def training_scope(config: TrainConfig) -> Iterator[None]:
    """Where a model is made and trained: on all devices, in the config's precision."""
    former = tf.keras.mixed_precision.global_policy()
    with all_devices().scope():
        if config.precision != "float32":
            tf.keras.mixed_precision.set_global_policy(f"mixed_{config.precision}")
        try:
            yield
        finally:
            tf.keras.mixed_precision.set_global_policy(former)


def is_plain(config: TrainConfig) -> bool:
    """Whether what is trained can be measured and exported as it is: on one device, in float32."""
    return config.precision == "float32" and all_devices().num_replicas_in_sync == 1


def steps_an_epoch(source: Source, config: TrainConfig) -> int:
    """Steps of an epoch under the strategy of the scope that this is called in.

    Raises:
        InputError: an epoch has fewer batches than there are devices.
    """
    held, devices = steps_of_epoch(source, config), devices_in_scope()
    if held < devices:
        raise InputError(
            f"an epoch has {held} batches, fewer than the {devices} devices that take one each. "
            "Lower `positions`, or show fewer devices (CUDA_VISIBLE_DEVICES)."
        )
    return held // devices


def batches_of(source: Source, config: TrainConfig, epoch: int, *, first: int = 0) -> Any:
    """What each step of an epoch takes, from the `first` step on."""
    strategy, devices = tf.distribute.get_strategy(), devices_in_scope()
    own = batches(source, config, epoch, first=first * devices, at_once=devices)
    if devices == 1:
        return own
    return strategy.distribute_datasets_from_function(lambda _: own)


def step_of(model: TwoTower, source: Source, config: TrainConfig) -> Callable[[Any], tf.Tensor]:
    """A compiled step: what `batches_of` yields -> the mean loss, float32 []."""
    strategy, devices = tf.distribute.get_strategy(), devices_in_scope()
    signature = batches_of(source, config, 0).element_spec

    def step(batch: Any) -> tf.Tensor:
        if devices == 1:
            return model.train_step(batch)["loss"]
        losses = strategy.run(model.train_step, args=(batch,))["loss"]
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return tf.function(step, input_signature=[signature])


def devices_in_scope() -> int:
    """Devices of the strategy of the scope that this is called in."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)
