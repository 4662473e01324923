# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Secrets that are known by the name they are given to, or because they look drawn by lot.

    names_secret(name) -> bool          trivial(name, value) -> bool: gives nothing away          by_lot(value) -> bool
    named(text, start, end): (start, end) of the secrets behind a name of which text[start:end] is a part

No function raises, and each takes time in proportion to the text. Only the standard library is used: ``redact`` says why.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.operation.secret_shapes import BLOCK, MASK, block

# ---- names ---------------------------------------------------------------------------------------------------------------------------

_ENDINGS = (
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
)
_SHORT = {"pass", "pwd", "pw", "auth", "authorization", "cookie", "dsn", "psk", "jwt", "dockercfg", "dockerconfigjson"}
# what makes a key a secret one: "partition key", "public key" and "cache key" are none
_KEYS = set(
    "access account admin aes api app application auth aws azure cl client cloud cloudant consumer cos decryption encryption gcp hmac iam"
    " ibm ingest integration jwt license master private root rsa secret service session shared sign signing sl softlayer ssh storage"
    " subscription tls webhook".split()
)
# a last word that says: not the secret itself, but something about it
_ABOUT = set(
    "age algorithm algorithms arn attempts audience audiences bits class cleaner controller count duration enabled endpoint exists expires"
    " expiration expiry expired fingerprint format found helper host id ids index interval intervals issuer key keyid keyname keyref keys"
    " kind len length limit lifetime manager map max method min mode modes name namespace names number operator plugin policy port prefix"
    " provider providers realm ref refresh refs region renewal required requests retries rotation rotator scheme seconds server signer size"
    " source spec specs status store suffix time timeout ttl type types uid uri uris url urls used user username validity valid version"
    " webhook".split()
)
_PLACES = {"file", "path", "dir", "directory", "location", "mount", "files", "filename"}
_SOURCE = re.compile(r"\.(?:[ch]|cc|cpp|css|diff|go|gpg|html|java|js|md|patch|po|py|rb|rs|rst|sh|so|ts)$")  # token.go is a file
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
SECRET_NAME = re.compile(
    r"(?i)pass|pwd|pw|secret|token|credential|key|auth|cookie|dsn|psk|jwt|docker"
)  # a name without one of these is harmless

_TRIVIAL = re.compile(
    r"(?i)[\"']*(?:true|false|yes|no|on|off|any|null|none|nil|unset|empty|string"
    r"|\W{0,2}|[*.\u2022\u2026]+|x{3,}|\d?[%$][a-z]|<[^<>]*>?|\$\{[^{}]*\}?|\$\([^()]*\)?|\{[^{}]*\}"
    r"|\{\{.*"
    r"|\[?(?:redacted|masked|hidden|omitted|filtered)\]?)[\"']*"
)
_METHODS = set(
    "basic bearer digest oidc oauth oauth2 ldap kerberos x509 rbac node webhook anonymous required optional ok success failed failure"
    " failing".split()
)
_STOP = set(
    "a an and are as at be been but by can cannot cannot could did does error failed for found from had has have if in into invalid is it"
    " its key less may missing must never not of on only or required requires should than that the then there this to too unable was were"
    " when which while will with would expired expected empty unexpected string value file path option flag argument any val arg str".split()
)
_PROSE = {
    "token",
    "tokens",
    "auth",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "cookie",
    "key",
}  # they stand before a colon in sentences
_MACHINES = {"amd64", "arm64", "i386", "s390x", "ppc64el", "riscv64", "x86_64"}  # python3-jwt:amd64
_SENTENCE = re.compile(r"[ \t]+\w")
_SYMBOL = re.compile(r"[!@#$%^&*+=~]")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")  # of a shell
# where a key lies. A secret in base64 may begin with a slash, but not so
_PATH = re.compile(
    r"(?:~|/(?:etc|home|mnt|opt|root|run|secrets|srv|tmp|usr|var))/[\w./@+-]+|(?:\.{0,2}/)?(?:[\w.@+-]+/)+[\w.@+-]*\.(?:crt|key|p12|pem|pub)"
)
REFERENCE = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*")  # namespace/name of a Secret


def names_secret(name: str) -> bool:
    """Whether what bears this name is a secret: DB_PASSWORD, clientSecret and x-api-key are; secretName and token_ttl are not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    while words and (words[-1].isdigit() or words[-1] in _PLACES):
        words.pop()  # PASSWORD_2; a file's value decides
    singular = [word[:-1] if word.endswith("s") and not word.endswith("ss") else word for word in words]
    pairs = zip(["", *singular], singular)
    found = [n for n, (before, word) in enumerate(pairs) if word.endswith(_ENDINGS) or (word == "key" and before in _KEYS)]
    if not words or _SOURCE.search(name):
        return False
    return singular[-1] in _SHORT or (bool(found) and (found[-1] == len(words) - 1 or words[-1] not in _ABOUT))


def trivial(name: str, value: str) -> bool:
    """Whether a value gives nothing away: empty, a switch, a placeholder, a variable, a path."""
    words = _WORDS.findall(name.lower())
    bare = value.strip("\"'")
    if _TRIVIAL.fullmatch(value) or (words and words[-1] in ("auth", "authorization") and bare.lower() in _METHODS):
        return True
    placeholder = bare.strip("[]<>`")
    if placeholder.isupper() and name.lower().endswith(placeholder.lower()):
        return True  # token=TOKEN, as in usage texts
    if (variable := _VARIABLE.fullmatch(bare)) and names_secret(variable[1]):
        return True
    if _PATH.fullmatch(bare):
        return True
    return bool(words) and words[-1] in (*_PLACES, "pwd") and bare.startswith(("/", "./", "~", "C:\\"))


def _mixed(value: str) -> bool:
    return bool(_SYMBOL.search(value)) or (any(letter.isdigit() for letter in value) and any(letter.isalpha() for letter in value))


# ---- randomness ----------------------------------------------------------------------------------------------------------------------

_CANDIDATE = re.compile(r"[=:\"'](?: ?\\?[\"']| )?(?P<value>[A-Za-z0-9+/_-]{20,512}={0,2})(?![\w+/.-])")
_NAME_BEFORE = re.compile(r"([\w.-]{1,64})\\?[\"']?[ \t]*[=:]?[ ]?\\?[\"']?$")
# names of identifiers and digests: what they name is random, and no secret
IDENTIFIER = re.compile(
    r"(?i)(?:id|uid|uuid|guid|ids|etag|hash|digest|sha\d*|md5|checksum|sum|fingerprint|nonce|continue|cursor|version|revision|commit"
    r"|trace|span|request|rv|build|image|path|file|url|uri|name|instance|node|pod|container|host|bundle"
    r"|ca|cert|certificate|public[_-]?key|pubkey|integrity|data-?key|random[_-]?seed)$"
)
_PARTS = re.compile(r"[+/_-]")
_CHANGES, _BITS = 0.4, 3.6  # share of neighbours of different kinds; Shannon bits a character


def values_by_lot(text: str) -> Iterator[tuple[int, int]]:
    """Assigned and quoted values that look drawn by lot, whatever their name, unless it is that of an identifier."""
    for match in _CANDIDATE.finditer(text):
        if by_lot(match["value"]) and not _identifies(text, match.start("value")):
            yield match.span("value")


def _identifies(text: str, at: int) -> bool:
    before = _NAME_BEFORE.search(text, max(0, at - 72), at)
    return bool(before and IDENTIFIER.search(before[1]))


def by_lot(value: str) -> bool:
    """Whether 20 or more characters look drawn by lot: all three kinds, changing often, hardly repeating. Encoded ordinary text does not."""
    text = value.rstrip("=")
    kinds = [0 if letter.islower() else 1 if letter.isupper() else 2 if letter.isdigit() else 3 for letter in text]
    if len(text) < 20 or not {0, 1, 2} <= set(kinds) or kinds.count(3) * 8 > len(text) or kinds.count(2) < 2:
        return False
    longest = max(_PARTS.split(text), key=len)  # fieldManager-7c6nTn1T: a word, with something random behind it
    if _changes(text) < _CHANGES or _changes(longest) < _CHANGES:
        return False
    bits = -sum(share * math.log2(share) for share in (text.count(letter) / len(text) for letter in set(text)))
    return bits >= min(_BITS, 0.85 * math.log2(len(text))) and not _harmless_base64(text)


def _changes(text: str) -> float:
    """The share of neighbours of different kinds: 0.6 among letters and digits by lot, 0.3 in words written together."""
    kinds = [letter.islower() + 2 * letter.isdigit() for letter in text]
    return sum(a != b for a, b in zip(kinds, kinds[1:])) / max(1, len(text) - 1)


def _harmless_base64(text: str) -> bool:
    """Whether it is encoded text (a list's continue token, an etag), or a certificate, without a secret in it."""
    if text.startswith(("MII", "AAAAB3NzaC1yc2", "AAAAC3NzaC1lZDI1NTE5", "AAAAE2VjZHNh")):
        return True  # certificate, public SSH key
    try:
        plain = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return False
    return plain.isprintable() or plain.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()


# ---- names and their values ----------------------------------------------------------------------------------------------------------

_LEFT = re.compile(r"(?i)[\w.-]{0,64}+(?: (?:ipa|ssecca|etavirp|terces|gningis)(?![\w.-]))?")  # read backwards: "api key" is one name
_CLOSERS = r"[\s,;&})\]>\"'\\]|$"
_PLAIN = (
    rf"(?:[^\s,;&}})\]>\"'\\]|\\(?![nrt\"'])|[,;](?!\s|$|[\"'{{\[]|[\w.-]{{1,40}}[=:])|&(?!$|[\w.%-]{{1,40}}=)|[}})\]>](?!{_CLOSERS}))+"
)
_ENCODED = r"(?:(?!%2[0-26Cc]|%3[Bb]|%0[ADad])[^\s&\"'])+"
_VALUE = rf"(?P<value>\"(?:[^\"\\\n]|\\.)+|'[^'\n]+|(?P<escaped>\\+[\"'])(?:(?!(?P=escaped))[^\n])+|{_PLAIN})"
_REST = re.compile(r"[\w.-]{0,24}+(?=[\s=:%\"',\\\]])")
_AFTER = re.compile(
    r"(?:"
    rf"(?P<quote>\\*[\"'])?\]?(?P<gap>[ \t]*)(?P<sign>=>|:=|=(?!=)|:(?!:))(?P<space>[ \t]*){_VALUE}"
    rf"|(?P<closed>%22)?(?P<coded>%3[ADad])(?:%20|%22)*(?P<text>{_ENCODED})"
    r"|[ \t]+(?:is[ \t]+)?[\"']?(?P<random>[A-Za-z0-9+/_-]{20,512}={0,2})(?![\w.-])"
    rf"|(?P<pair>\\*[\"'])?[ \t]*,[ \t\n]*\\*[\"']?value\\*[\"']?[ \t]*:[ \t]*(?P<listed>\"(?:[^\"\\\n]|\\.)+|\\+\"[^\"\\\n]+|{_PLAIN})"
    r"|\\*[\"']?[ \t]*,?[ \t]*(?:\\n|\n)[ \t]*\\*[\"']?value\\*[\"']?:["
    r" \t]*(?P<below>\"(?:[^\"\\\n]|\\.)+|\\+\"[^\"\\\n]+|[^\s\"'\\][^\n\\]*)"
    rf"|(?:[ \t,]+V|[ \t,]+v)alue:(?P<go>{_PLAIN})"
    r"|(?P<flag>[ \t]+|\\*[\"'],\s{0,40}\\*[\"']|[\"']?\n[ \t]*- [\"']?)(?P<given>\"[^\"\n]+|'[^'\n]+|[^\s\"'\\,-][^\s\"'\\]*)"
    r")"
)
_HEADER = re.compile(
    r"(?i)(?:\\*[\"'])?\]?[ \t]*(?::|=|%3A)(?:[ \t]|%20)*(?:\[|\\*[\"'])*(?:(?:bearer|basic|token|apikey|negotiate)(?:["
    r" \t]|%20)+(?P<credential>\[redacted\]|[^\s\"'\\\],;]+)"
    r"|(?:(?:digest|aws4-hmac-sha256)[ \t]+)?(?P<rest>\[redacted\]|[^\s\"'\\][^\n\"'\\]*))"
)


def _opening(value: str) -> int:
    """How many letters of a value are the quotation mark before it, which stays: JSON stays JSON."""
    bare = value.lstrip("\\")
    return len(value) - len(bare) + 1 if bare[:1] in ("'", '"') else 0


def named(text: str, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The value behind a name of which text[at:end] is a part: assignments, JSON, YAML, flags, headers, lists of name and value."""
    header = text[end - 1] in "hHeE"  # auth, cookie
    rest = _REST.match(text, end)
    if not rest:
        return
    left = _LEFT.match(text[max(0, at - 80) : at][::-1])
    start = at - (left.end() if left else 0)
    name = text[start:end]
    if header:
        tail = "orization" if text[end : end + 9].lower() == "orization" else ""
        if (name + tail).lower().rpartition("-")[2] in ("authorization", "cookie") and (field := _HEADER.match(text, end + len(tail))):
            yield from _header(field)
            return
    name += rest[0]
    if not names_secret(name) or not (match := _AFTER.match(text, rest.end())):
        return
    kind = next((group for group in ("sign", "coded", "random", "listed", "below", "go", "flag") if match[group]), "flag")
    group = {"sign": "value", "coded": "text", "flag": "given"}.get(kind, kind)
    value = match[group]
    begin = match.start(group) + _opening(value)
    bare = text[begin : match.end(group)]
    if bare == MASK or trivial(name, bare) or not bare:
        if kind == "sign" and BLOCK.fullmatch(value):
            yield from block(text, start, match.end())
        return
    if kind == "sign" and name.startswith("-") and match["sign"] == "=" and match["space"]:
        return  # --password= and a word: the option is empty
    if kind == "sign" and not _assigned(text, start, name, match):
        return
    if kind == "random" and not (by_lot(value) or (len(value) >= 32 and _mixed(value))):
        return
    if kind == "flag" and not (
        name.startswith("-")
        and not name.endswith(".")
        and bare.lower().strip(".,:;[]") not in _STOP
        and not name.lower().endswith(bare.lower())
    ):
        return
    yield begin, match.end(group)


def _header(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    group = "credential" if match["credential"] else "rest"
    value = match[group].strip()
    prose = " " in value and len(value) < 200 and value.replace(" ", "").isalpha()
    if not (_TRIVIAL.fullmatch(value) or (group == "rest" and (prose or value.lower() in _METHODS))):
        yield match.span(group)


def _assigned(text: str, start: int, name: str, match: re.Match[str]) -> bool:
    """Whether an assignment gives a secret away. Words, paths, ports and image tags behind a colon do not."""
    value, last = match["value"], _WORDS.findall(name)[-1].lower()
    quoted = bool(_opening(value))
    bare = value.strip("\\\"'")
    if last in ("secret", "secrets") and REFERENCE.fullmatch(bare):
        return False
    if name == "PASS" and match["sign"] == ":" and not quoted:
        return False  # --- PASS: TestParse
    if match["sign"] != ":":
        return not (last == "tokens" and bare.isdigit())
    if match["quote"] and quoted:
        return True
    if text[max(0, start - 1) : start] == "/" and not match["quote"]:
        return False  # /etc/passwd: Permission denied, "/etc/passwd": is a directory, shop/auth:1.4
    if match["quote"]:
        return not text[max(0, start - 8) : start].rstrip("abcdefghijklmnopqrstuvwxyz").endswith("/")
    if not quoted and value[0] in "{[":
        return False  # a mapping, a list
    if not match["space"]:
        return len(value) > 256 or last != "auth" and _mixed(value) and value not in _MACHINES
    if bare.lower().strip(".,:;") in _STOP:
        return False
    return name.lower() not in _PROSE or not _SENTENCE.match(text, match.end()) or _mixed(value)
