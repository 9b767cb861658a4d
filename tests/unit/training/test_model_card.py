"""The card says what the metrics say."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.model_card import write_model_card

SCORES = {
    "ndcg@10": 0.05,
    "ndcg@10_standard_error": 0.004,
    "recall@10": 0.09,
    "mrr": 0.04,
    "coverage@10": 0.2,
    "popularity_lift@10": 0.35,
}
SPAN = {"from": "2015-01-01T00:00:00", "to": "2016-01-01T00:00:00", "rows": 1234, "people": 56}
METRICS = {
    "protocol": {
        **dict.fromkeys(("train", "validation", "test"), SPAN),
        "candidates": 9066,
        "ranking": "each item among all",
        "seen_items": "filtered",
        "left_out": ["EASE: too large"],
    },
    "test": {"two-tower": SCORES, "popularity, all time": {**SCORES, "ndcg@10": 0.0196}},
    "by_heat": [
        {"group": "cold", "meaning": "0 to 4", "rows": 7, "scorers": {"two-tower": SCORES}}
    ],
    "by_item_age": [
        {"group": "unseen", "meaning": "new", "rows": 9, "scorers": {"two-tower": SCORES}}
    ],
    "heads": {"returns_7d": {}},
    "heads_left_out": {"spend_30d": "one label"},
    "device": "CPU",
    "training_seconds": 61.0,
    "query_tower": {
        "float32": {"bytes": 4e6, "milliseconds": 0.4, "ndcg@10": 0.05, "lost": 0.0, "kept": True},
        "int8": {"bytes": 1e6, "milliseconds": 0.3, "ndcg@10": 0.049, "lost": 0.02, "kept": False},
    },
    "item_index": {
        **{"items": 9066, "recall": 0.993, "speedup": 0.5, "index_ms": 0.8, "exact_ms": 0.4},
    },
}
MANIFEST = {
    "created_at": "2026-11-22T10:00:00+00:00",
    "feature_service": "retrieval_v1",
    "registry_hash": "abc",
    "lake_snapshot": 42,
    "tensorflow": "2.21.0",
    "config": {
        "features": ["a", "b"],
        **{"encoder": "gru", "fusion": "neural", "loss": "softmax", "negatives": "all"},
        "dimension": 128,
    },
}


@pytest.mark.parametrize(
    "said",
    [
        "# Two-tower model v7",
        "| feature service | retrieval_v1, 2 columns of it |",
        "| lake snapshot | 42 |",
        "| test | 2015-01-01 | 2016-01-01 | 1,234 | 56 |",
        "| popularity, all time | 0.0196 ± 0.0040 | 0.0900 | 0.0400 | 20.0 % |",
        "| cold | 0 to 4 | 7 | 0.0500 |",
        "and 1 more: returns_7d.",
        "spend_30d (one label)",
        "Left out: EASE: too large.",
        "| int8 | 1.00 MB | 0.30 ms | 2.00 % | no: it loses more than 1 % |",
        "Index of 9,066 items: it finds 99.3 % of the true hundred, 0.5 times as fast",
        "is 35 % more popular than",
    ],
)
def test_it_says_what_was_measured(tmp_path: Path, said: str) -> None:
    assert said in write_model_card(tmp_path, "v7", MANIFEST, METRICS).read_text()
