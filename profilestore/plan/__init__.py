"""What the next apply would change, and whom it would break: `profilestore plan`.

| module | what it holds |
| --- | --- |
| `states` | what a registry holds, without Feast |
| `feast_repo` | both states, read from Feast: what is registered, what is declared |
| `changes` | what differs, and which changes can hurt |
| `readers` | who reads a column |
| `purposes` | whether services read only what may be read for their purpose |
| `unread` | which columns nobody reads |
| `verdict` | changes and readers together: what breaks |
| `report` | the plan as text and as JSON |
"""

from profilestore.plan.report import as_json, as_text, breaking_names
from profilestore.plan.unread import Unread, unread_columns, unread_json, unread_text
from profilestore.plan.verdict import Finding, Plan, check_purposes, make_plan

__all__ = [
    "Finding",
    "Plan",
    "Unread",
    "as_json",
    "as_text",
    "breaking_names",
    "check_purposes",
    "make_plan",
    "unread_columns",
    "unread_json",
    "unread_text",
]
