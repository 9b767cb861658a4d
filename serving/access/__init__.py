"""Who may ask what: clients with keys or tokens, their scopes, purposes and rates.

| module | what it holds |
| --- | --- |
| `clients` | `access.yaml`: the clients, as declared |
| `keys` | API keys: made, hashed, added to the file |
| `tokens` | JSON Web Tokens, checked against the keys of their issuer |
| `buckets` | how many requests a client may still make |
| `gate` | what stands before a route |
"""

from serving.access.clients import ANYONE, SCOPES, Access, Client, load_access
from serving.access.gate import Gate
from serving.access.keys import add_key

__all__ = ["ANYONE", "SCOPES", "Access", "Client", "Gate", "add_key", "load_access"]
