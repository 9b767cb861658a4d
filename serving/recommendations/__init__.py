"""Recommendations: a line of small stages, each a function of what the one before gives.

| stage | module | what it does |
| --- | --- | --- |
| ask | `person` | the model is asked of the person, once |
| retrieve | `retrieve` | candidates: by the towers, by content, or what most turn to |
| filter | `filters` | without what they have, what cannot be had, what policy forbids |
| rank | `rank` | one number each, by the model's scores and its heads |
| order | `order` | diversity, freshness, caps, a place for content |

`pipeline` is all of them in a row; `policy` what can be set, in `recommendations.yaml`; `block` the
document.
"""
