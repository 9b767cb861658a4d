"""A list of columns that a model may adopt of a feature service, in place of all of it.

    feature_service: retrieval_v1
    keep:
      - user_activity__events_7d
      - ...

A feature service takes whole views, so that a column that dbt adds is in the next model with no
edit. A config that names such a list says that it wants less: of the service's features, those that
stand in it, in the service's order. The model's encoding then holds those alone, and so does what
`profilestore plan` says that its bundle reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from profilestore.encoding import Feature
from profilestore.errors import InputError


@dataclass(frozen=True)
class FeatureList:
    """Columns of a feature service that are worth keeping, as `<view>__<feature>`."""

    feature_service: str
    keep: tuple[str, ...]

    def write(self, path: Path) -> None:
        path.write_text(
            yaml.safe_dump(
                {"feature_service": self.feature_service, "keep": list(self.keep)}, sort_keys=False
            )
        )

    @classmethod
    def read(cls, path: Path) -> FeatureList:
        """The list in a YAML file.

        Raises:
            InputError: no such file, or it is no such list.
        """
        if not path.exists():
            raise InputError(f"no list of features at {path}, which the config names.")
        said = yaml.safe_load(path.read_text())
        if not isinstance(said, dict) or said.keys() != {"feature_service", "keep"}:
            raise InputError(f"{path}: wanted feature_service and keep, and nothing else.")
        keep = said["keep"]
        if not isinstance(keep, list) or not keep or not all(isinstance(c, str) for c in keep):
            raise InputError(f"{path}: keep is {keep!r}; wanted columns, one at least.")
        return cls(str(said["feature_service"]), tuple(keep))

    def of(self, features: Sequence[Feature], service: str) -> list[Feature]:
        """Those of a service's features that the list keeps, in the service's order.

        Raises:
            InputError: the list is of another service, or names columns that this one lacks.
        """
        columns = set(self.columns_of(service))
        lacking = sorted(columns - {feature.column for feature in features})
        if lacking:
            raise InputError(
                f"feature service {service} lacks {', '.join(lacking)}, which the list of features "
                "names. Take them off the list, or bring them back into the mart."
            )
        return [feature for feature in features if feature.column in columns]

    def columns_of(self, service: str) -> tuple[str, ...]:
        """What the list keeps of a service.

        Raises:
            InputError: the list is of another one.
        """
        if service != self.feature_service:
            raise InputError(
                f"the list of features is of {self.feature_service}, and the config's "
                f"feature_service is {service}. Make the list anew, or name the other service."
            )
        return self.keep
