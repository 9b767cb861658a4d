"""The model bundle: what training leaves in `data/models/<version>/` and serving picks up.

    bundle.json           version, feature service, registry, lake, config, a hash of each file
    encoding.json         how user features become the query tower's inputs
    vocabularies.json     id of each value that training knew
    query_tower.tflite    user features -> query vector and scores of heads, without TensorFlow
    query_tower.*.tflite  the same in float16 and int8, where that loses little
    heads.json            what each head foretells, and how its scores are calibrated
    item_ids.json         item of each row of item_vectors.npy
    item_vectors.npy      float32 [items, dimension]
    item_index.usearch    the same vectors, for a search among very many
    metrics.json, report.html, plots
    model_card.md         what it is, what it is for, and what it is not
    test_ranks.npz        the model's and the baselines' ranks on the test window
    saved_model/          both towers, for those who have TensorFlow

One version is stamped on all of it. A bundle appears whole: it is written beside its place,
renamed into it, and only then named in `current.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.calibration import Calibration
from profilestore.disk import free_bytes, is_full, tree_to_disk
from profilestore.encoding import Arrays, Encoding, Vocabulary, vocabularies_from_json
from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.item_index import MOST_EXACT, ItemIndex
from profilestore.settings import Settings

MANIFEST = "bundle.json"
CURRENT = "current.json"
INDEX = "item_index.usearch"


@dataclass(frozen=True)
class BundleHead:
    """What else than the next item a bundle foretells.

    Attributes:
        kind: `binary`, `category` or `amount`.
        column: the feature that it foretells, as `<view>__<feature>`, or `event_type`.
        after_days: how long after it is asked that feature is read.
        above: of `binary`, what the feature has to be above.
        classes: of `category`, by number.
        reached: figures of the test window.
    """

    name: str
    kind: str
    column: str
    after_days: int
    above: float
    classes: tuple[str, ...]
    calibration: Calibration
    reached: Mapping[str, float]


@dataclass(frozen=True)
class Bundle:
    """A trained model, ready to be asked.

    Attributes:
        manifest: what bundle.json says.
        item_ids: item of each row of `item_vectors`.
        item_vectors: float32 [items, dimension].
        item_index: where comparing all of them takes too long.
        heads: by name.
    """

    path: Path
    manifest: Mapping[str, Any]
    encoding: Encoding
    vocabularies: Mapping[str, Vocabulary]
    item_ids: list[str]
    item_vectors: npt.NDArray[np.float32]
    query_tower: QueryTower
    item_index: ItemIndex | None = None
    heads: Mapping[str, BundleHead] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def feature_service(self) -> str:
        return str(self.manifest["feature_service"])

    @property
    def item_encoding(self) -> Encoding | None:
        """How item features became the candidate tower's inputs; older bundles do not say."""
        said = self.manifest.get("item_encoding")
        return Encoding.from_json(said) if said else None

    @cached_property
    def item_rows(self) -> Mapping[str, int]:
        """Row in `item_vectors` of each item."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @property
    def recommends_seen(self) -> bool:
        """Whether what a person has turned to already is recommended to them again."""
        return self.manifest.get("seen_items") == "kept"


@dataclass(frozen=True)
class BundleReads:
    """What a bundle reads: its version, its feature service, and columns as `<view>__<feature>`."""

    version: str
    feature_service: str
    columns: frozenset[str]


class QueryTower:
    """The query tower on LiteRT. Safe to call from several threads; one at a time runs."""

    def __init__(self, path: Path) -> None:
        # Imported here: who only reads a bundle's metrics needs no interpreter.
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # The default delegate announces itself on standard error, and gains a tower nothing.
        self._interpreter = Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._run = self._interpreter.get_signature_runner("serving_default")
        self._lock = threading.Lock()

    def __call__(self, inputs: Arrays) -> npt.NDArray[np.float32]:
        """Query vector float32 [dimension] of one row of `Encoding.encode`."""
        return self.answer(inputs)["vector"]

    def answer(self, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """Of one row of `Encoding.encode`: `vector` float32 [dimension], and under `head_output` of
        each head its scores float32 [outputs], not calibrated."""
        with self._lock:
            named = {tensor_name(name): array for name, array in inputs.items()}
            return {name: array[0].copy() for name, array in self._run(**named).items()}


def tensor_name(name: str) -> str:
    """Name of an input in the exported tower: LiteRT keeps no double underscore."""
    return name.replace("__", "_")


def head_output(name: str) -> str:
    """Name of a head's output in the exported tower."""
    return f"head_{name}"


def load_current(settings: Settings) -> Bundle:
    """The bundle that `current.json` names.

    Raises:
        MissingStageError: nothing was trained yet.
        ProfilestoreError: the bundle is torn or mixed; the message names the file.
    """
    return load(current_path(settings))


def current_reads(settings: Settings) -> BundleReads:
    """What the current bundle reads, without loading its model.

    Raises:
        MissingStageError: nothing was trained yet.
        ProfilestoreError: the bundle is torn; the message names the file.
    """
    path = current_path(settings)
    manifest = _read_manifest(path)
    try:
        encoding = Encoding.from_json(json.loads((path / "encoding.json").read_text()))
        service = str(manifest["feature_service"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ProfilestoreError(
            f"{path} does not say what it reads: {MANIFEST} or encoding.json is torn. "
            "Run `make train`."
        ) from None
    return BundleReads(str(manifest["version"]), service, frozenset(encoding.columns))


def current_path(settings: Settings) -> Path:
    """Folder of the bundle that `current.json` names.

    Raises:
        MissingStageError: nothing was trained yet.
        ProfilestoreError: current.json is torn.
    """
    current = settings.models / CURRENT
    if not current.exists():
        raise MissingStageError(f"no model bundle in {settings.models}. Run `make train` first.")
    try:
        version: str = json.loads(current.read_text())["version"]
        return settings.models / version
    except (ValueError, KeyError, TypeError):
        raise ProfilestoreError(f"{current} is torn. Run `make train`.") from None


def load(path: Path) -> Bundle:
    """The bundle in a folder, each file checked against the hash that the manifest gives it."""
    manifest = _read_manifest(path)
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    for name in sorted({*manifest["files"], *there} - {MANIFEST}):
        file = path / name
        expected = manifest["files"].get(name, "nothing")
        found = _sha256(file) if file.exists() else "nothing"
        if found != expected:
            raise ProfilestoreError(
                f"bundle {manifest['version']}: {file} is not the file it was exported with "
                f"(found {found[:12]}, wanted {expected[:12]}). Run `make train`, or point "
                f"{CURRENT} to another version."
            )
    # Older bundles do not name it.
    tower = manifest.get("query_tower", "query_tower.tflite")
    if tower not in manifest["files"]:
        raise ProfilestoreError(
            f"bundle {manifest['version']}: {MANIFEST} has serving run {tower}, which the bundle "
            f"does not have. Name one that it has, or point {CURRENT} to another version."
        )
    item_vectors = np.load(path / "item_vectors.npy")
    item_ids = json.loads((path / "item_ids.json").read_text())
    return Bundle(
        path=path,
        manifest=manifest,
        encoding=Encoding.from_json(json.loads((path / "encoding.json").read_text())),
        vocabularies=vocabularies_from_json((path / "vocabularies.json").read_text()),
        item_ids=item_ids,
        item_vectors=item_vectors,
        query_tower=QueryTower(path / tower),
        item_index=(
            ItemIndex.load(path / INDEX, manifest["item_index"]["breadth"])
            if len(item_ids) >= MOST_EXACT and "item_index" in manifest
            else None
        ),
        heads=_read_heads(path),
    )


@contextmanager
def new_bundle(settings: Settings, version: str, manifest: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to fill; on leaving it becomes `data/models/<version>` and the current bundle.

    If the block raises, nothing changes: the last good bundle stays current.

    Raises:
        ProfilestoreError: it cannot be written, as on a disk that is full.
    """
    settings.models.mkdir(parents=True, exist_ok=True)
    draft = settings.models / f".{version}.{os.getpid()}"
    try:
        draft.mkdir()
        yield draft
        files = {
            str(file.relative_to(draft)): _sha256(file)
            for file in sorted(draft.rglob("*"))
            if file.is_file()
        }
        stamped = {"version": version, **manifest, "files": files}
        (draft / MANIFEST).write_text(json.dumps(stamped, indent=2) + "\n")
        # A file system may find out only now that it has no room for what it took.
        tree_to_disk(draft)
        draft.rename(settings.models / version)
    except OSError as error:
        said = _not_written(version, draft, error)
        shutil.rmtree(draft, ignore_errors=True)
        raise said from error
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    try:
        set_current(settings, version)
    except OSError as error:
        said = _not_written(version, settings.models / version, error)
        # Whole, and nobody's: it has the room that is missing.
        shutil.rmtree(settings.models / version, ignore_errors=True)
        raise said from error


def _not_written(version: str, folder: Path, error: OSError) -> ProfilestoreError:
    """What went wrong where, said before what was written is removed."""
    written = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
    where = Path(error.filename) if isinstance(error.filename, str) else folder
    full = is_full(error)
    todo = "Make room there, then" if full else "When that is mended,"
    return ProfilestoreError(
        f"the bundle {version} cannot be written: {'the disk is full: ' if full else ''}"
        f"{error.strerror or error}, at {where}, after "
        f"{written / 1e6:,.1f} MB and with {free_bytes(where) / 1e6:,.1f} MB free there. The last "
        f"good bundle stays in place. {todo} run `python -m training export`, which goes on from "
        "the last checkpoint."
    )


def set_current(settings: Settings, version: str) -> None:
    """Name the bundle that serving loads; a reader sees the old name or the new one."""
    draft = settings.models / f".{CURRENT}.{os.getpid()}"
    try:
        draft.write_text(json.dumps({"version": version}) + "\n")
        draft.replace(settings.models / CURRENT)
    finally:
        draft.unlink(missing_ok=True)


def _read_heads(path: Path) -> dict[str, BundleHead]:
    file, metrics = path / "heads.json", path / "metrics.json"
    if not file.exists():  # bundles had none once
        return {}
    reached = json.loads(metrics.read_text()).get("heads", {}) if metrics.exists() else {}
    return {
        name: BundleHead(
            name=name,
            kind=told["kind"],
            column=told["column"],
            after_days=told["after_days"],
            above=told["above"],
            classes=tuple(told["classes"]),
            calibration=Calibration.from_json(told["calibration"]),
            reached=reached.get(name, {}),
        )
        for name, told in json.loads(file.read_text()).items()
    }


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError:
        raise MissingStageError(
            f"no bundle at {path}: {MANIFEST} is missing. Run `make train`."
        ) from None
    except ValueError:
        manifest = {}
    if not isinstance(manifest, dict) or not manifest.keys() >= {"version", "files"}:
        raise ProfilestoreError(f"{path / MANIFEST} is torn. Run `make train`.")
    if manifest["version"] != path.name:
        raise ProfilestoreError(
            f"bundle at {path} says that it is version {manifest['version']}: "
            "parts of two bundles are mixed. Run `make train`."
        )
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
