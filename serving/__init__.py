"""The service: profiles and recommendations over HTTP, and the pages that show them.

| module | what it holds |
| --- | --- |
| `documents` | the JSON that is served, as models: the documentation is made from them |
| `problems` | every error as a problem document (RFC 9457) |
| `reads` | what each route reads of the feature store, said at the route |
| `access` | who may ask what: keys, tokens, scopes, purposes, rates |
| `telemetry` | a line a request, numbers, traces |
| `load` | too many requests at once |
| `conditional` | documents that whoever asks has already |
| `bodies` | bodies of requests, no longer than they may be |
| `feast_routes` | what Feast's own feature server answers |
| `live` | events: taken, kept, shown |
| `deployment` | what is loaded: online store, bundle, people, clock; a changed one is picked up |
| `people` | who can be asked for, those seen last first |
| `tags` | the dictionary of tags |
| `items` | titles and categories of items |
| `audiences` | everybody who matches a rule |
| `popularity` | the items that most turn to: the answer for a person nobody knows |
| `recommendations` | ask, retrieve, filter, rank, order |
| `profile` | one profile: what its blocks need is read, and no more |
| `blocks` | the blocks of a profile, one module each |
| `schema` | the JSON Schema of the profile document, `docs/profile.schema.json` |
| `wording` | how values read to people |
| `terminal` | a profile as plain text |
| `pages` | the web pages, rendered here: templates, styles and their addresses |
| `routes`, `health`, `parameters` | the other addresses; they only translate |
| `app` | the application: what stands around every route, and all of them |
| `server` | the process |

No TensorFlow and no dbt: the query tower runs on LiteRT, features come from the online store.
"""

import gc

# Feast and FastAPI make more than a hundred thousand objects while they are imported, and next to
# no garbage: looking for some again and again is a tenth and more of the time until we are ready.
_collects = gc.isenabled()
gc.disable()

from serving.app import create_app  # noqa: E402
from serving.profile import assemble_profile  # noqa: E402
from serving.reads import Endpoint, endpoints_of  # noqa: E402
from serving.server import run  # noqa: E402
from serving.terminal import profile_text  # noqa: E402

if _collects:
    gc.enable()

__all__ = [
    "Endpoint",
    "assemble_profile",
    "create_app",
    "endpoints_of",
    "profile_text",
    "run",
]
