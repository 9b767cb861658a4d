"""The block of recommendations, as it is served."""

from __future__ import annotations

from serving.documents import ItemDocument, Recommendation, RecommendationsBlock
from serving.items import Item
from serving.recommendations.pipeline import Recommended


def recommendations_block(recommended: Recommended) -> RecommendationsBlock:
    """Titles and categories beside each item."""

    def item(item_id: str) -> Item:
        return recommended.items.get(item_id, Item(item_id))

    def near(item_id: str) -> ItemDocument | None:
        found = recommended.near.get(item_id)
        return None if found is None else item(found).document()

    return RecommendationsBlock(
        state=recommended.state,
        as_of=recommended.as_of,
        source=recommended.source,
        reason=recommended.reason,
        method=recommended.method,
        items=[
            Recommendation(
                item_id=one.item_id,
                title=item(one.item_id).title,
                categories=list(item(one.item_id).categories),
                score=one.score,
                found_by=list(one.found_by),
                near=near(one.item_id),
            )
            for one in recommended.chosen
        ],
    )
