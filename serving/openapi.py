"""The service's OpenAPI, for who makes a client of it: `make client`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from profilestore.settings import Settings, load_settings
from serving.app import create_app


def openapi_text(settings: Settings) -> str:
    """What `/openapi.json` answers."""
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(openapi_text(load_settings()))
    print(f"wrote {path}")
