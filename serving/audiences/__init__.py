"""Audiences: everybody who matches a rule over tags, segments, scores and features.

| module | what it holds |
| --- | --- |
| `rules` | what a rule may say |
| `everybody` | what is known of all people now, by column, read as far as a rule needs it |
| `matching` | a rule held against them |
| `audience` | the document |

People are read from the offline store, as the last build knows them. What a model has to be asked
of each person one by one is asked only of those whom the rest of the rule leaves.
"""
