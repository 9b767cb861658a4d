"""Every route asks who asks, and lets nobody do what they may not."""

from __future__ import annotations

import hmac
import json
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from profilestore.errors import InputError
from profilestore.settings import Settings
from serving.access import SCOPES
from serving.access.keys import digest
from serving.app import create_app

Declare = Callable[..., TestClient]

# Whoever it is may know these: nothing of a person is in them.
FREE = {"/healthz", "/readyz", "/health", "/docs", "/openapi.json", "/favicon.ico"}
NEEDS = {
    "GET /v1/profiles/{user_id}": "profiles:read",
    "GET /v1/users": "profiles:read",
    "GET /v1/tags": "profiles:read",
    "GET /v1/scores/{user_id}/{score}/why": "profiles:read",
    "GET /v1/profiles/{user_id}/interests/{category}/why": "profiles:read",
    "POST /v1/similar/users": "profiles:read",
    "POST /v1/audiences": "profiles:read",
    "POST /v1/profiles": "profiles:read",
    "GET /": "profiles:read",
    "GET /people": "profiles:read",
    "GET /users/{user_id}": "profiles:read",
    "GET /tags": "profiles:read",
    "GET /compare": "profiles:read",
    "GET /users/{user_id}/why/{item_id}": "recommendations:read",
    "GET /users/{user_id}/scores/{score}/why": "profiles:read",
    "GET /users/{user_id}/interests/{category}/why": "profiles:read",
    "POST /users/{user_id}/events": "events:write",
    "GET /v1/recommendations/{user_id}": "recommendations:read",
    "GET /v1/recommendations/{user_id}/{item_id}/why": "recommendations:read",
    "POST /v1/similar/items": "recommendations:read",
    "POST /v1/events": "events:write",
    "POST /get-online-features": "features:read",
    "POST /search": "features:read",
    "POST /retrieve-online-documents": "features:read",
    "POST /push": "features:write",
    "POST /write-to-online-store": "features:write",
    "GET /metrics": "metrics:read",
    "GET /v1/models": "models:read",
    "GET /models": "models:read",
    "GET /models/{version}/report/{name}": "models:read",
    "GET /data": "models:read",
    "POST /v1/models/current": "models:write",
    "POST /models/current": "models:write",
}


def declared(**about: Any) -> dict[str, Any]:
    return {"keys": [digest("the key")], "scopes": list(SCOPES), **about}


@pytest.fixture
def declare(deploy: Any, settings: Settings) -> Declare:
    """A client of a service with one client `shop`, who has `the key`."""

    def make(tokens: Any = None, **about: Any) -> TestClient:
        clients = {"shop": declared(**about)}
        said = {"clients": clients} | ({} if tokens is None else {"tokens": tokens})
        settings.access_file.write_text(yaml.safe_dump(said))
        return TestClient(
            create_app(settings, deployment=deploy()),
            raise_server_exceptions=False,
            follow_redirects=False,
        )

    return make


OURS = {"content-type": "application/json", "sec-fetch-site": "same-origin"}


def send(client: TestClient, name: str, **headers: str) -> Any:
    method, path = name.split()
    path += "?a=u-ann&b=u-bob" if path == "/compare" else ""
    path = path.replace("{user_id}", "u-ann").replace("{item_id}", "i7")
    path = path.replace("{score}", "churn_7d").replace("{category}", "Drama")
    body = {"content": b"{}"} if method == "POST" else {}
    return client.request(method, path, headers=OURS | headers, **body)


KEY = {"X-API-Key": "the key"}


def test_every_route_is_named_here(settings: Settings, deploy: Any) -> None:
    routes = {
        f"{method} {route.path_format}"
        for route in create_app(settings, deployment=deploy()).routes
        if isinstance(route, APIRoute) and route.path not in FREE
        for method in route.methods
    }
    assert routes == NEEDS.keys()
    assert set(NEEDS.values()) <= SCOPES.keys()


@pytest.mark.parametrize("name", NEEDS)
def test_a_route_needs_a_client_and_its_scope(declare: Declare, name: str) -> None:
    scope = NEEDS[name]
    client = declare(scopes=[scope])
    assert send(client, name).status_code == 401
    assert send(client, name, **{"X-API-Key": "the kez"}).status_code == 401
    assert send(client, name, **KEY).status_code not in (401, 403)
    others = declare(scopes=[other for other in SCOPES if other != scope])
    refused = send(others, name, **KEY)
    assert refused.status_code == 403
    if "v1" in name:
        assert scope in refused.json()["detail"]


@pytest.mark.parametrize("path", sorted(FREE - {"/health", "/favicon.ico"}))
def test_what_is_free(declare: Declare, path: str) -> None:
    assert declare().get(path).status_code == 200


def test_a_browser_is_asked_for_the_key(declare: Declare) -> None:
    client = declare()
    page = client.get("/", headers={"accept": "text/html"})
    assert page.status_code == 401
    assert page.headers["www-authenticate"] == 'Basic realm="Profilestore"'
    for said, wanted in (("me:the key", 200), ("me:x", 401), ("the key", 401), ("\xff", 401)):
        basic = b64encode(said.encode("latin-1")).decode()
        assert client.get("/", headers={"authorization": f"Basic {basic}"}).status_code == wanted
    assert client.get("/", headers={"authorization": "Basic ???"}).status_code == 401
    assert client.get("/v1/users").headers["www-authenticate"] == "Bearer"


def test_purposes(declare: Declare, bundle: Any) -> None:
    client = declare(purposes=["profile"])
    own = client.get("/v1/profiles/u-ann", headers=KEY)
    assert own.json()["purpose"] == "profile"
    assert own.json()["recommendations"]["state"] == "withheld"
    other = client.get("/v1/profiles/u-ann?purpose=recommendation", headers=KEY)
    assert other.status_code == 403
    assert "'recommendation', but for these purposes: profile" in other.json()["detail"]
    assert client.get("/v1/recommendations/u-ann", headers=KEY).status_code == 403
    assert client.get("/v1/recommendations/u-ann/i7/why", headers=KEY).status_code == 403
    page = client.get("/users/u-ann", headers=KEY)
    assert page.status_code == 200
    named = {"entities": {"user_id": ["u-ann"]}, "features": ["user_activity:events_7d"]}
    refused = client.post("/get-online-features", headers=KEY, json=named)
    assert refused.status_code == 403
    assert "name a `feature_service`" in refused.json()["detail"]
    other_service = {"entities": {"user_id": ["u-ann"]}, "feature_service": "retrieval_v1"}
    assert client.post("/get-online-features", headers=KEY, json=other_service).status_code == 403

    of_a_model = {"rule": {"score": "churn_7d", "at_most": 0.5}}
    assert client.post("/v1/audiences", headers=KEY, json=of_a_model).status_code == 403
    too_deep: Any = {"tag": "a"}
    for _ in range(9):
        too_deep = {"not": too_deep}
    refused = client.post("/v1/audiences", headers=KEY, json={"rule": too_deep})
    assert refused.status_code == 422
    assert "deep" in refused.text

    several = declare(purposes=["profile", "recommendation"])
    unnamed = several.get("/v1/profiles/u-ann", headers=KEY)
    assert unnamed.status_code == 403
    assert "profile, recommendation. Name one" in unnamed.json()["detail"]
    assert several.get("/v1/recommendations/u-ann", headers=KEY).status_code == 200
    none = declare(purposes=[])
    assert none.get("/v1/profiles/u-ann", headers=KEY).status_code == 403


def test_who_asks_too_often_is_told_when_again(declare: Declare) -> None:
    client = declare(requests_per_second=0.01)
    assert client.get("/v1/users", headers=KEY).status_code == 200
    refused = client.get("/v1/users", headers=KEY)
    assert refused.status_code == 429
    assert 95 <= int(refused.headers["retry-after"]) <= 100
    assert client.get("/v1/users").status_code == 401, "it is another who asks"
    assert client.get("/healthz").status_code == 200


def test_a_change_is_picked_up_and_a_mistake_is_not(declare: Declare, settings: Settings) -> None:
    client = declare()
    assert client.get("/v1/users", headers=KEY).status_code == 200
    settings.access_file.write_text("clients: [")
    assert client.get("/v1/users", headers=KEY).status_code == 200
    settings.access_file.unlink()
    assert client.get("/v1/users", headers=KEY).status_code == 200
    assert client.get("/v1/users").status_code == 401, "without its list it does not open"
    settings.access_file.write_text("clients: {}\n# nobody\n")
    assert client.get("/v1/users", headers=KEY).status_code == 401


def test_a_mistake_stops_a_service_that_begins(settings: Settings, deploy: Any) -> None:
    settings.access_file.write_text("clients: [")
    with pytest.raises(InputError, match=r"access\.yaml cannot be read"):
        create_app(settings, deployment=deploy())


def test_openapi_says_how_to_say_who_asks(declare: Declare, client: TestClient) -> None:
    schema = declare().get("/openapi.json").json()
    assert set(schema["components"]["securitySchemes"]) == {"ApiKey", "Token", "Browser"}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            assert ("security" in operation) == (name in NEEDS), name
            if name in NEEDS:
                assert operation["x-scopes"] == [NEEDS[name]]
    open_to_all = client.get("/openapi.json").json()
    assert "securitySchemes" not in open_to_all["components"]


class TestTokens:
    @pytest.fixture
    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @pytest.fixture
    def jwks(self, key: ec.EllipticCurvePrivateKey) -> str:
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": "first", "alg": "ES256", "use": "sig"}]})

    @pytest.fixture
    def address(self, jwks: str) -> Iterator[str]:
        """The issuer's keys over HTTP."""

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(jwks.encode())

            def log_message(self, *_: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Keys)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()
        server.server_close()

    @pytest.fixture(params=["file", "address"])
    def client(
        self, request: pytest.FixtureRequest, declare: Declare, settings: Settings, jwks: str
    ) -> TestClient:
        where = "keys.json"
        if request.param == "address":
            where = request.getfixturevalue("address")
        (settings.home / "keys.json").write_text(jwks)
        return declare(
            {"jwks": where, "issuer": "https://issuer.example", "audience": "profilestore"},
            scopes=["profiles:read", "events:write"],
        )

    @staticmethod
    def token(key: Any, *, kid: str | None = "first", algorithm: str = "ES256", **said: Any) -> str:
        claims = {
            "iss": "https://issuer.example",
            "aud": "profilestore",
            "exp": int(time.time()) + 600,
            "client_id": "shop",
            "scope": "profiles:read recommendations:read",
            **said,
        }
        headers = {} if kid is None else {"kid": kid}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers)

    def signed_with_a_secret(self, secret: bytes) -> str:
        """By hand: the library does not let itself be used so."""
        payload = self.token(ec.generate_private_key(ec.SECP256R1())).split(".")[1]
        head = urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
        signature = hmac.digest(secret, f"{head}.{payload}".encode(), "sha256")
        return f"{head}.{payload}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    @staticmethod
    def ask(client: TestClient, token: str, path: str = "/v1/users") -> Any:
        return client.get(path, headers={"Authorization": f"Bearer {token}"})

    def test_a_token_is_a_client_with_what_both_allow(self, client: TestClient, key: Any) -> None:
        assert self.ask(client, self.token(key)).status_code == 200
        by_subject = self.token(key, client_id=None, sub="shop")
        assert self.ask(client, by_subject).status_code == 200
        # In the token and not of the client; of the client and not in the token.
        assert self.ask(client, self.token(key), "/v1/recommendations/u-ann").status_code == 403
        nothing = self.token(key, scope=None)
        assert self.ask(client, nothing).status_code == 403

    @pytest.mark.parametrize(
        "said",
        [
            {"exp": int(time.time()) - 60},
            {"exp": None},
            # These times are read when pytest collects: a whole run may pass before the test.
            {"nbf": int(time.time()) + 86_400},
            {"iss": "https://other.example"},
            {"iss": None},
            {"aud": "other"},
            {"aud": None},
            {"client_id": "nobody"},
            {"client_id": None},
            {"client_id": ["shop"]},
            {"kid": "second"},
            {"kid": None},
        ],
        ids=str,
    )
    def test_another_is_refused(self, client: TestClient, key: Any, said: Any) -> None:
        refused = self.ask(client, self.token(key, **said))
        assert refused.status_code == 401
        assert "The token is refused" in refused.json()["detail"]

    def test_one_signed_by_somebody_else(self, client: TestClient, jwks: str) -> None:
        stranger = ec.generate_private_key(ec.SECP256R1())
        assert self.ask(client, self.token(stranger)).status_code == 401
        # The public key taken for a shared secret, and no signature at all.
        for forged in (
            self.signed_with_a_secret(jwks.encode()),
            self.token(None, algorithm="none"),
            "a.b.c",
            "",
        ):
            assert self.ask(client, forged).status_code == 401

    def test_keys_that_cannot_be_had_are_said(self, declare: Declare, key: Any) -> None:
        for where in ("gone.json", "http://127.0.0.1:9/keys"):
            client = declare({"jwks": where, "issuer": "i", "audience": "a"})
            answered = self.ask(client, self.token(key, iss="i", aud="a"))
            assert answered.status_code == 503
            assert "keys of the token's issuer" in answered.json()["detail"]
