# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every shape of token that detect-secrets knows is found, and more. Tokens are drawn at run time: none stands in this file."""

from __future__ import annotations

import base64
import random
import string

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import MASK, redact
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM, WORD, HEX = LOWER + UPPER + DIGITS, LOWER + UPPER + DIGITS + "_-", DIGITS + "abcdef"
_draw = random.Random(20261121)


def some(length: int, alphabet: str = ALNUM) -> str:
    """A string by lot that holds every kind of letter of its alphabet."""
    kinds = [kind for kind in (LOWER, UPPER, DIGITS) if set(kind) & set(alphabet)]
    letters = [_draw.choice(sorted(set(kind) & set(alphabet))) for kind in kinds] * 2
    letters = (letters + [_draw.choice(alphabet) for _step in range(length)])[:length]
    _draw.shuffle(letters)
    return "".join(letters)


def json_part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = ".".join((json_part('{"alg": "HS256"}'), json_part('{"sub": "1234567890"}'), some(43, WORD)))
# (what, a token, detect-secrets' name of the plug-in that knows it or "")
TOKENS: list[tuple[str, str, str]] = [
    ("aws key id", "AKIA" + some(16, UPPER + DIGITS), "AWSKeyDetector"),
    ("aws temporary key id", "ASIA" + some(16, UPPER + DIGITS), "AWSKeyDetector"),
    ("github personal", "ghp_" + some(36), "GitHubTokenDetector"),
    ("github server", "ghs_" + some(36), "GitHubTokenDetector"),
    ("github fine-grained", f"github_pat_{some(22)}_{some(59)}", ""),
    ("gitlab personal", "glpat-" + some(20, WORD), "GitLabTokenDetector"),
    ("gitlab runner", "glrt-" + some(20, WORD), "GitLabTokenDetector"),
    ("gitlab registration", "GR1348941" + some(20, WORD), "GitLabTokenDetector"),
    ("gitlab ci", "glcbt-64_" + some(20, WORD), "GitLabTokenDetector"),
    ("gitlab mail", "glimt-" + some(25, WORD), "GitLabTokenDetector"),
    ("gitlab trigger", "glptt-" + some(40, WORD), "GitLabTokenDetector"),
    ("gitlab agent", "glagent-" + some(50, WORD), "GitLabTokenDetector"),
    ("gitlab oauth", "gloas-" + some(64, WORD), "GitLabTokenDetector"),
    ("slack bot", f"xoxb-{some(12, DIGITS)}-{some(12, DIGITS)}-{some(24)}", "SlackDetector"),
    ("slack app", f"xapp-1-{some(11, UPPER + DIGITS)}-{some(13, DIGITS)}-{some(64, HEX)}", ""),
    ("slack hook", f"https://hooks.slack.com/services/T{some(8, UPPER + DIGITS)}/B{some(8, UPPER + DIGITS)}/{some(24)}", "SlackDetector"),
    ("stripe", "sk_live_" + some(24), "StripeDetector"),
    ("stripe restricted", "rk_live_" + some(24), "StripeDetector"),
    ("jwt", JWT, "JwtTokenDetector"),
    ("npm", "npm_" + some(36), ""),
    ("npm configuration", f"//registry.npmjs.org/:_authToken=npm_{some(36)}", "NpmDetector"),
    ("pypi", "pypi-AgEIcHlwaS5vcmc" + some(90, WORD), "PypiTokenDetector"),
    ("pypi test", "pypi-AgENdGVzdC5weXBpLm9yZw" + some(90, WORD), "PypiTokenDetector"),
    ("sendgrid", f"SG.{some(22, WORD)}.{some(43, WORD)}", "SendGridDetector"),
    ("twilio", "SK" + some(32, HEX), "TwilioKeyDetector"),
    ("twilio account", "AC" + some(32, HEX), "TwilioKeyDetector"),
    ("telegram", f"1234567890:{some(35, WORD)}", "TelegramBotTokenDetector"),
    ("azure storage", f"AccountName=a;AccountKey={some(86)}==;EndpointSuffix=core", "AzureStorageKeyDetector"),
    ("openai", f"sk-{some(20)}T3BlbkFJ{some(20)}", "OpenAIDetector"),
    ("openai project", "sk-proj-" + some(48, WORD), ""),
    ("anthropic", "sk-ant-api03-" + some(90, WORD), ""),
    ("square", "sq0csp-" + some(43, WORD), "SquareOAuthDetector"),
    ("mailchimp", some(32, HEX) + "-us12", "MailchimpDetector"),
    ("discord", f"M{some(23)}.{some(6)}.{some(27)}", "DiscordBotTokenDetector"),
    ("basic auth", f"https://ann:{some(12)}@example.com/x", "BasicAuthDetector"),
    ("artifactory", "AKC" + some(30), "ArtifactoryDetector"),
    ("artifactory password", "AP6" + some(30), "ArtifactoryDetector"),
    ("cloudant", f"cloudant_apikey={some(24, LOWER)}", "CloudantDetector"),
    ("cloudant password", f"cl_password: {some(64, HEX)}", "CloudantDetector"),
    ("ibm cloud", f"ibm_cloud_iam_api_key = {some(44, WORD)}", "IbmCloudIamDetector"),
    ("ibm cos", f'cos_hmac_secret_access_key: "{some(48, HEX)}"', "IbmCosHmacDetector"),
    ("softlayer", f"softlayer_api_key={some(64, LOWER + DIGITS)}", "SoftlayerDetector"),
    ("softlayer soap", f"https://api.softlayer.com/soap/v3/{some(64, LOWER + DIGITS)}", "SoftlayerDetector"),
    ("aws secret", f'aws_secret_access_key = "{some(40)}"', "AWSKeyDetector"),
    ("google api", "AIza" + some(35, WORD), ""),
    ("google oauth", "GOCSPX-" + some(28, WORD), ""),
    ("google access", "ya29." + some(60, WORD), ""),
    ("hugging face", "hf_" + some(34), ""),
    ("vault", "hvs." + some(90, WORD), ""),
    ("terraform", f"{some(14)}.atlasv1.{some(67, WORD)}", ""),
    ("docker hub", "dckr_pat_" + some(27, WORD), ""),
    ("digital ocean", "dop_v1_" + some(64, HEX), ""),
    ("shopify", "shpat_" + some(32, HEX), ""),
    ("grafana", "glsa_" + some(32) + "_" + some(8, HEX), ""),
    ("databricks", "dapi" + some(32, HEX), ""),
    ("tailscale", f"tskey-auth-{some(12)}-{some(32)}", ""),
    ("openshift", "sha256~" + some(43, WORD), ""),
    ("age", "AGE-SECRET-KEY-1" + some(58, UPPER + DIGITS), ""),
    ("entra", f"{some(3)}8Q~{some(34)}", ""),
    ("presigned", f"https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature={some(64, HEX)}", ""),
    ("azure sas", f"https://a.blob.core.windows.net/c?sv=2024&sig={some(43)}%3D", ""),
]
AROUND = ("{}", "using {} now", 'said "{}".', "x={}", "[{}]", "2026-11-21T12:00:05Z {}\n", 'msg="failed: {}"', "a\\n{}\\nb", "{},")


@pytest.mark.parametrize("token", [row[1] for row in TOKENS], ids=[row[0] for row in TOKENS])
@pytest.mark.parametrize("around", AROUND)
def test_known_shapes_are_found_wherever_they_stand(around: str, token: str) -> None:
    text = around.format(token)
    found, taken = redact(text)
    secret = max(token.replace("@", " ").replace("=", " ").replace(":", " ").replace("/", " ").replace('"', " ").split(), key=len)
    assert taken >= 1 and MASK in found and (secret not in found or secret == "example.com")
    assert redact(found) == (found, 0)


@pytest.mark.parametrize("what, token, plugin", [row for row in TOKENS if row[2]], ids=[row[0] for row in TOKENS if row[2]])
def test_detect_secrets_agrees_that_these_are_tokens(what: str, token: str, plugin: str) -> None:
    """The yardstick: each of these is one of its shapes, so that the table above is no invention of ours."""
    detectors = {cls.__name__: cls for cls in get_mapping_from_secret_type_to_class().values()}
    assert list(detectors[plugin]().analyze_string(token)), what


def test_every_detector_of_detect_secrets_is_measured_against() -> None:
    known = {cls.__name__ for cls in get_mapping_from_secret_type_to_class().values()}
    elsewhere = {
        "PrivateKeyDetector",
        "KeywordDetector",
        "Base64HighEntropyString",
        "HexHighEntropyString",
        "IPPublicDetector",
    }  # addresses are no secrets
    assert known - elsewhere == {row[2] for row in TOKENS} - {""}


KEY_KINDS = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")
BODY = "\n".join(some(64, ALNUM + "+/") for _step in range(4)) + "\n" + some(20)


@pytest.mark.parametrize("kind", KEY_KINDS)
def test_private_keys_over_lines(kind: str) -> None:
    key = f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}\n-----END {kind}PRIVATE KEY-----"
    assert redact(f"read\n{key}\nend") == (f"read\n{MASK}\nend", 1)
    assert redact(f'{{"tls.key":"{key.replace(chr(10), chr(92) + "n")}","n":1}}') == (f'{{"tls.key":"{MASK}","n":1}}', 1), "escaped line ends"
    stamped = "\n".join(f"2026-11-21T12:00:05.123456789Z {line}" for line in key.splitlines())
    assert redact(stamped)[0] == f"2026-11-21T12:00:05.123456789Z {MASK}", "with the time stamps of a pod's log"
    head, foot = "\n".join(key.splitlines()[:3]), "\n".join(key.splitlines()[2:])
    for cut in (head, foot, "\n".join(stamped.splitlines()[:3])):
        found, taken = redact(f"{cut}\nlater: all is well")
        assert taken == 1 and not any(line in found for line in BODY.splitlines()) and found.endswith("\nlater: all is well"), "cut off"


@pytest.mark.parametrize(
    "head",
    [
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED",
    ],
)
def test_other_private_keys(head: str) -> None:
    found, taken = redact(f"{head}\n{BODY}\nall is well")
    assert taken == 1 and found == f"{MASK}\nall is well"


def test_putty_keys() -> None:
    key = f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPublic-Lines: 1\n{some(64)}\nPrivate-Lines: 1\n{some(64)}\nPrivate-MAC: {some(40, HEX)}"
    assert redact(f"{key}\n# end") == (f"{MASK}\n# end", 1)


def test_a_base64_key_is_a_secret_and_a_base64_certificate_is_not() -> None:
    key, certificate = (base64.b64encode(f"-----BEGIN {what}-----\n{BODY}\n".encode()).decode() for what in ("RSA PRIVATE KEY", "CERTIFICATE"))
    assert redact(f"found {key} there") == (f"found {MASK} there", 1)
    assert redact(f"    client-key-data: {key}") == (f"    client-key-data: {MASK}", 1)
    assert redact(f"    client-certificate-data: {certificate}")[1] == 0
