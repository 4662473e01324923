# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Secrets go; ordinary log lines stay readable, because a diagnosis stands on them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import MASK, holds_secret, redact, redact_object

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabc+/=\n-----END RSA PRIVATE KEY-----"
SECRETS: list[tuple[str, str]] = [
    (f"got {JWT} from header", "got # from header"),
    (f"key:\n{PEM}\nend", "key:\n#\nend"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEow", "#"),
    ("aws AKIAIOSFODNN7EXAMPLE used", "aws # used"),
    ("ghp_" + "a1" * 18 + " pushed", "# pushed"),
    ("github_pat_" + "a1" * 20, "#"),
    ("glpat-abcdefghij0123456789", "#"),
    ("xoxb-123456789012-abcdefGHIJ", "#"),
    ("AIza" + "Sy0" * 12, "#"),
    ("sk-proj-abcdefghij0123456789", "#"),
    ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer #"),
    ("authorization=Basic dXNlcjpwYXNzd29yZA==", "authorization=Basic #"),
    ('{"Authorization": "Token 9944b09199c62bcf"}', '{"Authorization": "Token #"}'),
    ("Cookie: sid=31d4d96e407aad42; theme=dark", "Cookie: #"),
    ("sent header bearer dXNlcjpwYXNzd29yZDEyMw", "sent header bearer #"),
    ("postgres://app:hunter2@db:5432/orders", "postgres://app:#@db:5432/orders"),
    ("redis://:s3cret@cache/0 and amqp://a:b@mq", "redis://:#@cache/0 and amqp://a:#@mq"),
    ("password=hunter2", "password=#"),
    ("PASSWORD = 'two words'", "PASSWORD = '#'"),
    ('db_password: "hunter2"', 'db_password: "#"'),
    ("password: hunter2", "password: #"),
    ("login with password: hunter2 was refused", "login with password: # was refused"),
    ('{"token":"abc","user":"ann"}', '{"token":"#","user":"ann"}'),
    ("{'api_key': 'abc', 'x': 1}", "{'api_key': '#', 'x': 1}"),
    ("apikey=abc&page=2", "apikey=#&page=2"),
    ("GET /login?token=abc HTTP/1.1", "GET /login?token=# HTTP/1.1"),
    ("DB_PASS=x1 DB_HOST=db", "DB_PASS=# DB_HOST=db"),
    ("--client-secret=abc --verbose", "--client-secret=# --verbose"),
    ("passphrase: correct-horse", "passphrase: #"),
    ("password: correct horse", "password: # horse"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=#"),
    ("secret:4f9a2b", "secret:#"),
    ("pwd=hunter2", "pwd=#"),
    ("tokens=a1b2", "tokens=#"),
    ('{"shop/password": "hunter2"}', '{"shop/password": "#"}'),
    ('{"password": 12345}', '{"password": #}'),
    ("password:hunter2", "password:#"),
    ("credentials=ann:pw", "credentials=#"),
]


@pytest.mark.parametrize("text, expected", SECRETS, ids=[row[0][:40] for row in SECRETS])
def test_secrets_are_taken_out_and_counted(text: str, expected: str) -> None:
    found, taken = redact(text)
    assert found == expected.replace("#", MASK) and taken == expected.count("#")
    assert redact(found) == (found, 0), "what is redacted stays as it is"


ORDINARY = """\
2026-11-21T12:00:05Z INFO server started on port 8080
level=info msg="listening" addr=:9090 version=1.2.3
GET /api/v1/orders?page=2&size=50 200 12ms
panic: runtime error: invalid memory address or nil pointer dereference
Traceback (most recent call last):
KeyError: 'DATABASE_URL'
Error: Cannot find module 'express'
Caused by: java.net.ConnectException: Connection refused
FATAL:  password authentication failed for user "app"
sh: /etc/passwd: Permission denied
exec: "/etc/passwd": permission denied: unknown
cat: /run/secrets/token: No such file or directory
cat: can't open '/etc/ssl/private/key.pem': Permission denied
SyntaxError: Unexpected token } in JSON at position 12
SyntaxError: unexpected token: '}'
Error: secret "db-credentials" not found
MountVolume.SetUp failed for volume "certs" : secret "web-tls" not found
couldn't find key password in Secret shop/db
Back-off restarting failed container auth in pod auth-5bdb8db7cc-lptgf_shop(58c54a29-378d-4f80-8c65-ac1fbc792eca)
Failed to pull image "registry.example.com/team/auth:1.4-alpine": not found
Failed to pull image "team/token:v2": failed to resolve reference
dial tcp: lookup auth:8080: no such host
connecting to auth:8080 failed
unauthorized: authentication required
HTTP 401 Unauthorized: basic authentication required
Bearer authentication is not supported by this endpoint
Basic functionality check passed
dial tcp 10.96.0.10:53: connect: connection refused
connecting to postgres://db:5432/orders
error parsing token: unexpected end of input
auth: failed to refresh session
oauth2: cannot fetch token: 400 Bad Request
missing required environment variable API_KEY
the option --password is required
pwd=/usr/src/app
author: Jane Doe
max_tokens=512 temperature=0.2
secretName: web-tls
auth=true tls=false
auth:v1-alpine pulled
token:invalid
csrf token missing or incorrect
password_hash algorithm: argon2id
credential helper: docker-credential-ecr-login not found
nginx: [emerg] cannot load certificate key "/etc/nginx/tls.key": BIO_new_file() failed
image digest sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
password:
""".splitlines()


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_are_unharmed(line: str) -> None:
    assert redact(line) == (line, 0)


NAMED: list[tuple[str, Any, bool]] = [
    ("DB_PASSWORD", "x", True),
    ("password", "x", True),
    ("API_TOKEN", "t-1", True),
    ("api-key", "k", True),
    ("AWS_SECRET_ACCESS_KEY", "k", True),
    ("SESSION_COOKIE", "c", True),
    ("AUTH", "abc", True),
    ("DSN", "host=db", True),
    ("TOKENS", "a,b", True),
    ("CONNECTION", "redis://:pw@cache", True),
    ("DB_PASSWORD", "", False),
    ("DB_PASSWORD", None, False),
    ("DB_PASSWORD", {"secretKeyRef": {}}, False),
    ("PORT", "8080", False),
    ("AUTHOR", "Jane", False),
    ("COMPASS", "north", False),
    ("TOKENIZER", "bpe", False),
    ("KEY", "x", False),
    ("AUTH_ENABLED", "true", False),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token", False),
    ("PASSWORD_FILE", "hunter2", True),
]


@pytest.mark.parametrize("name, value, secret", NAMED, ids=[f"{row[0]}={row[1]}" for row in NAMED])
def test_holds_secret(name: str, value: Any, secret: bool) -> None:
    assert holds_secret(name, value) is secret


def test_objects_lose_literal_secrets_and_nothing_else() -> None:
    reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    container = {
        "name": "app",
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "fast"}, reference],
        "args": ["--token=abc", "run"],
    }
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{...}", "team": "a"}
    document: dict[str, Any] = {
        "metadata": {"managedFields": [{}], "annotations": annotations},
        "spec": {"containers": [container], "replicas": 2, "paused": False},
    }
    kept = {
        "name": "app",
        "env": [{"name": "DB_PASSWORD", "value": MASK}, {"name": "MODE", "value": "fast"}, reference],
        "args": [f"--token={MASK}", "run"],
    }
    assert redact_object(document) == {"metadata": {"annotations": {"team": "a"}}, "spec": {"containers": [kept], "replicas": 2, "paused": False}}
    assert document["metadata"]["annotations"] is annotations and len(annotations) == 2, "the input is left alone"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "password" * 20_000,
        "x=" * 50_000,
        "://" * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 2_000,
        "auth: " * 10_000,
        "token: " + "a" * 200_000 + " x",
    ],
)
def test_long_and_odd_text_takes_no_time(text: str) -> None:
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 2
