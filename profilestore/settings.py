"""Where things lie and how the platform is set: the only reader of `os.environ`.

Every path is derived from one root, so that the whole flow can run on a copy of the project
(the tests do) by setting `PROFILESTORE_HOME`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from profilestore.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Paths and switches of one deployment.

    Attributes:
        home: the folder that holds `dbt_project/`, `feature_repo/` and `data/`.
        pseudonym_key: the key for pseudonyms when it comes from the environment, else None and
            it is read from `key_file`.
        host, port: where `profilestore serve` listens.
        access: the file that declares the clients of the service; by default `access.yaml` in
            `home`.
        log_level: of the service: `info` is a line a request.
        traces_to: address of a collector of OpenTelemetry; None for no traces.
        most_at_once: how many requests the service answers at a time.
        longest_wait_ms: how long a request may be expected to wait for those before it, where
            more come than are answered.
    """

    home: Path
    pseudonym_key: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    access: Path | None = None
    log_level: str = "info"
    traces_to: str | None = None
    most_at_once: int = 128
    longest_wait_ms: int = 10

    @property
    def access_file(self) -> Path:
        return self.access or self.home / "access.yaml"

    @property
    def recommendations_file(self) -> Path:
        """The policy of recommendations, where a deployment has one of its own."""
        return self.home / "recommendations.yaml"

    @property
    def dbt_project(self) -> Path:
        return self.home / "dbt_project"

    @property
    def manifest(self) -> Path:
        return self.dbt_project / "target" / "manifest.json"

    @property
    def feature_repo(self) -> Path:
        return self.home / "feature_repo"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def simulated(self) -> Path:
        return self.data / "simulated"

    @property
    def live(self) -> Path:
        """What was told to the service itself: the live log, which nothing else holds."""
        return self.data / "live"

    @property
    def audit(self) -> Path:
        """Who read what of whom."""
        return self.data / "audit"

    @property
    def lake_catalog(self) -> Path:
        return self.data / "lake" / "catalog.sqlite"

    @property
    def lake_files(self) -> Path:
        return self.data / "lake" / "files"

    @property
    def registry(self) -> Path:
        return self.data / "registry.db"

    @property
    def online(self) -> Path:
        return self.data / "online"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def checkpoints(self) -> Path:
        return self.data / "checkpoints"

    @property
    def training_logs(self) -> Path:
        return self.data / "training_logs"

    @property
    def tuning(self) -> Path:
        return self.data / "tuning"

    @property
    def evaluations(self) -> Path:
        return self.data / "evaluations"

    @property
    def profiles(self) -> Path:
        return self.data / "profiles"

    @property
    def selection(self) -> Path:
        return self.data / "selection"

    @property
    def training_scratch(self) -> Path:
        return self.data / "training"

    @property
    def key_file(self) -> Path:
        return self.data / "keys" / "pseudonym.key"

    @property
    def audit_key_file(self) -> Path:
        return self.data / "keys" / "audit.key"


def load_settings() -> Settings:
    """Read the environment once.

    `PROFILESTORE_HOME` (default: the checkout this package lies in), `PROFILESTORE_PSEUDONYM_KEY`,
    `PROFILESTORE_HOST`, `PROFILESTORE_PORT`, `PROFILESTORE_ACCESS`, `PROFILESTORE_LOG`,
    `PROFILESTORE_MOST_AT_ONCE`, `PROFILESTORE_LONGEST_WAIT_MS`, `OTEL_EXPORTER_OTLP_ENDPOINT`; an
    empty one is not set.

    Raises:
        InputError: the port is none.
    """
    env = os.environ
    home = env.get("PROFILESTORE_HOME")
    access = env.get("PROFILESTORE_ACCESS")
    return Settings(
        home=Path(home).resolve() if home else Path(__file__).resolve().parents[1],
        pseudonym_key=env.get("PROFILESTORE_PSEUDONYM_KEY") or None,
        host=env.get("PROFILESTORE_HOST") or "127.0.0.1",
        port=_port(env.get("PROFILESTORE_PORT") or "8000"),
        access=Path(access).resolve() if access else None,
        log_level=_level(env.get("PROFILESTORE_LOG") or "info"),
        traces_to=env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
        most_at_once=_count(env, "PROFILESTORE_MOST_AT_ONCE", 128),
        longest_wait_ms=_count(env, "PROFILESTORE_LONGEST_WAIT_MS", 10),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise InputError(f"PROFILESTORE_PORT: found {text!r}, needed a number from 0 to 65535.")
    return int(text)


def _level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise InputError(f"PROFILESTORE_LOG: found {text!r}, needed one of: {', '.join(levels)}.")
    return text.lower()


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise InputError(f"{name}: found {text!r}, needed a number from 1 to 10000.")
    return int(text)


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a process we start (dbt, feast), with `extra` set on top."""
    return {**os.environ, **extra}


def quiet_tensorflow() -> None:
    """Set what TensorFlow reads when it is first imported.

    TensorFlow Recommenders 0.7.7 needs the legacy Keras; the log level keeps start-up chatter out.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def quiet_mlflow() -> None:
    """Set what MLflow reads when it is first imported.

    It would tell its makers how it is used; and it refuses its file store, which is in maintenance,
    unless it is asked for. A server that does not answer is not waited for long.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
