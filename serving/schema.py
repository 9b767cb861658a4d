"""The JSON Schema of the profile document, for those who read it without a running service.

`make schema` writes docs/profile.schema.json from the models that serve it; a test holds them
together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from serving.documents import PROFILE_SCHEMA_VERSION, ProfileDocument

FILE = "profile.schema.json"


def profile_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `ProfileDocument` as it is sent."""
    schema = ProfileDocument.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"profile-{PROFILE_SCHEMA_VERSION}",
        **schema,
    }


def schema_text() -> str:
    """The schema as it stands in docs/."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs") / FILE
    path.write_text(schema_text())
    print(f"wrote {path}")
