"""The route of audiences."""

from __future__ import annotations

from fastapi import FastAPI

from serving import problems
from serving.access import Client, Gate
from serving.access.gate import PROBLEMS as REFUSALS
from serving.access.purposes import check_model, check_service
from serving.audiences.audience import READS, Audiences
from serving.audiences.matching import asks_a_model
from serving.blocks.known import SERVICE
from serving.blocks.segments import READS as SEGMENTS
from serving.deployment import Deployment
from serving.documents import AskAudience, AudienceDocument
from serving.reads import reads
from serving.recommendations.person import READS as MODEL


def add_audience_routes(app: FastAPI, served: Deployment, gate: Gate) -> None:
    audiences = Audiences(served)
    profiles = gate.needs("profiles:read")

    @app.post(
        "/v1/audiences",
        tags=["audiences"],
        summary="Everybody who matches a rule",
        responses=problems.described(*REFUSALS, problems.INVALID_REQUEST, problems.NOT_READY),
    )
    @reads(READS, MODEL, SEGMENTS)
    def audience(asked: AskAudience, client: Client = profiles) -> AudienceDocument:
        """How many people match, among how many, and who they are, page by page.

        People are as the latest build knows them. Scores and behavioural segments are asked of a
        model, of those alone whom the rest of the rule leaves, and of 20,000 people at most.
        """
        check_service(client, served, SERVICE)
        if client.purposes is not None and asks_a_model(asked.rule):
            check_model(client, served)
        return audiences.document(asked)
