"""The embedding: the person as the model places them. Only who asks for it by name gets it."""

from __future__ import annotations

from serving.blocks.model import Model
from serving.documents import EmbeddingBlock


def embedding_block(model: Model) -> EmbeddingBlock:
    """The query vector of the model."""
    vector = [] if model.asked is None else model.asked.answer["vector"].tolist()
    return EmbeddingBlock(**model.about(), vector=vector, dimension=len(vector))
