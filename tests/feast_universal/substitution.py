"""Have Feast's suite use the stores under test also where it chooses stores by itself.

A repo configuration names the offline and online stores of those tests that ask for all of them.
The others get Feast's Dask store, and every test gets Feast's local engine: with those, a run of
the materialisation tests would say nothing about ours. The suite imports the configuration before
it reads its defaults, so the configuration can change them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.universal.feature_repos import integration_test_repo_config, repo_configuration
from tests.universal.feature_repos.universal.data_source_creator import DataSourceCreator
from tests.universal.feature_repos.universal.data_sources import file


def make_default(
    creator: type[DataSourceCreator],
    engine: str | dict[str, Any],
    file_creator: type[DataSourceCreator],
) -> None:
    """Use this offline store and this batch engine in every test that does not name its own.

    `file_creator` is for the tests that are marked as being for a `FileSource` only.
    """

    # Environments are cached by the equality and hash of the parent.
    @dataclass(eq=False, repr=False)
    class RepoConfig(integration_test_repo_config.IntegrationTestRepoConfig):
        batch_engine: str | dict[str, Any] = field(default_factory=lambda: engine)

    integration_test_repo_config.IntegrationTestRepoConfig = RepoConfig
    file.FileDataSourceCreator = creator
    repo_configuration.OFFLINE_STORE_TO_PROVIDER_CONFIG["file"] = ("local", file_creator)
