"""The model's part of a profile: asked once, for all blocks that are made of what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from profilestore.errors import ProfilestoreError
from serving.blocks.known import SERVICE, Known
from serving.deployment import Deployment
from serving.documents import ModelSource, State, ViewSource
from serving.recommendations.person import Asked, ask_model

NOT_KEPT = (
    "What a model said at an earlier instant is not kept, and today's model has learned from what "
    "came after it."
)


@dataclass(frozen=True)
class Model:
    """What the model said, or why it was not asked.

    Attributes:
        asked: None where it was not.
    """

    asked: Asked | None
    state: State
    reason: str | None
    source: ViewSource | ModelSource

    def about(self) -> dict[str, Any]:
        """State, age, source and reason of a block that is made of it."""
        return {
            "state": self.state,
            "as_of": None if self.asked is None else self.asked.as_of,
            "source": self.source,
            "reason": self.reason,
        }


def model_of(deployment: Deployment, known: Known) -> Model:
    """The model asked of a person; what stands in the way is a reason, not an error."""
    service = SERVICE
    try:
        bundle, store = deployment.bundle(), deployment.store()
        service = bundle.feature_service
        if not known.permission.of_service(service):
            reason = known.permission.reason(f"all that the model does (`{service}`)")
            return _without("withheld", reason, service)
        if known.is_past:
            return _without("missing", NOT_KEPT, service)
        asked = ask_model(bundle, store, known.user_id, known.asked_at)
    except ProfilestoreError as error:
        return _without("missing", str(error), service)
    return Model(asked, asked.state, asked.reason, asked.source)


def _without(state: State, reason: str, service: str) -> Model:
    return Model(None, state, reason, ViewSource(view=None, feature_service=service))
