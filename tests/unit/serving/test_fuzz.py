"""Requests that nobody thought of, made from the service's own OpenAPI (by schemathesis).

None of them is a fault of ours, and every answer is as the documentation says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from profilestore.feature_server import FeatureServer
from profilestore.settings import Settings
from serving.app import create_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# What is asked of each route: as its documentation says, and not.
EXAMPLES = 60
PATHS = create_app(Settings(home=Path("/nowhere"))).openapi()["paths"]
CASES = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    for mode in GenerationMode
    # What takes nothing cannot be asked wrongly.
    if mode is GenerationMode.POSITIVE or operation.keys() & {"parameters", "requestBody"}
]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_whatever_is_asked(
    deploy: Any,
    settings: Settings,
    placed: Any,
    feast_home: Settings,
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    deployment = deploy(open_feature_server=lambda _: FeatureServer(feast_home))
    app = create_app(settings, deployment=deployment)
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[path][method]
    check(operation, mode)


def check(operation: Any, mode: GenerationMode) -> None:
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()
