"""The blocks of a profile, one module each.

| module | what it holds |
| --- | --- |
| `layout` | which block each feature view fills, and which blocks somebody asks for |
| `permission` | what may be told for a purpose |
| `known` | what is known of a person when asked: where all blocks are made from |
| `view_fields` | a block of a feature view: every column a field |
| `identity` | who this is, without saying who this is |
| `interests` | interest tags |
| `history` | recent items |
| `preferences` | what a person prefers: items, categories, brands, price band, hours |
| `segments` | class by purchases, cluster by behaviour, oddness |
| `whole` | what a block of several parts says of itself |
| `model` | the model asked, once for all blocks that are made of what it says |
| `scores` | what the heads of the model foretell |

A block is made from what was read: the same arguments, the same answer.
"""
