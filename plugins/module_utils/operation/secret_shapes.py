# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Secrets that are known by their shape or place: tokens, private keys, URLs, flags of programs, objects of kind Secret.

Each function gives the (start, end) of secrets in a text, in letters. None raises, and each takes time in proportion to the text:
every search is bounded. Only the standard library is used: ``redact`` says why.
"""

from __future__ import annotations

import re
from typing import Iterator

MASK = "[redacted]"

# ---- tokens ---------------------------------------------------------------------------------------------------------------------------

# tokens that begin with letters of their own; each is looked for at the starts of words, in runs of 16 and more letters
_TOKEN_SHAPES = (
    r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}",  # JWT, JWE, tokens of service accounts
    r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9_]{30,}|github_pat_[A-Za-z0-9_]{30,}",
    r"(?:gl(?:pat|dt|ft|soat|rt|imt|ptt|agent|oas|cbt)-|GR1348941)[A-Za-z0-9_-]{16,}",  # GitLab
    r"(?i:xox[abeoprs])-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}",  # Slack
    r"AIza[A-Za-z0-9_-]{30,}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,}",  # Google
    r"sk-(?!(?:ssh|ecdsa)-)(?=[A-Za-z_-]*[0-9A-Z])[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic and others
    r"[rsp]k_(?:live|test)_[0-9a-zA-Z]{10,}|whsec_[A-Za-z0-9+/=]{16,}",  # Stripe
    r"npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{50,}|rubygems_[a-f0-9]{40,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    r"sq0(?:csp|atp|idp)-[0-9A-Za-z_-]{22,}|EAAA[A-Za-z0-9_-]{56,}",  # Square
    r"hv[sbr]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{50,}",  # HashiCorp
    r"dckr_(?:pat|oat)_[\w-]{20,}|do[por]_v1_[a-f0-9]{40,}|shp(?:at|ss|pa|ca)_[a-fA-F0-9]{32}",  # Docker, DigitalOcean, Shopify
    r"glsa_\w{32,}|glc_[A-Za-z0-9+/=]{32,}|sntrys_[\w.-]{40,}|NRAK-[A-Z0-9]{27}|PMAK-[\w-]{30,}|tskey-[\w-]{16,}",  # Grafana, Sentry and others
    r"dapi[a-f0-9]{32}|sbp_[a-f0-9]{40}|pscale_\w{2,5}_[\w.-]{30,}|lin_api_\w{30,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|sha256~[\w-]{40,}",
    r"[\w.-]{3}[78]Q~[\w.~-]{31,34}",  # Azure, Entra ID
    r"LS0tLS1CRUdJTi(?!BDRVJUSUZJQ0FUR|BQVUJMSUMg)[A-Za-z0-9+/=]{16,}",  # PEM in base64, but no certificate and no public key
    r"[MNO][A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38}(?![\w-])",  # Discord
    r"(?<=\d{8}:)(?=[\w-]*[A-Z])[0-9A-Za-z_-]{35}(?![\w-])",  # Telegram
    r"[0-9a-z]{32}-us[0-9]{1,2}(?!\w)|(?:AC|SK)[a-z0-9]{32}(?!\w)",  # Mailchimp, Twilio
    r"(?:AKC|AP[0-9A-F])(?=[a-zA-Z]*[0-9])(?=[A-Z0-9]*[a-z])[a-zA-Z0-9]{12,128}(?![\w.:/-])",  # Artifactory
)
_RUN = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9_][A-Za-z0-9_.~-]{15,}")
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?:(?<=\\)[nrt]|(?<=%)[0-9A-Fa-f]{2})?(?P<secret>" + "|".join(_TOKEN_SHAPES) + ")")


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """Tokens that begin with letters of their own."""
    for run in _RUN.finditer(text):
        for token in _TOKEN.finditer(text, *run.span()):
            padding = 2 if text.startswith("==", token.end()) else text.startswith("=", token.end())
            yield token.start("secret"), token.end() + padding


# ---- places ---------------------------------------------------------------------------------------------------------------------------

# what follows a word; the group "secret" is masked
_OF = r"(?P<secret>\"[^\"\n]{1,256}\"|'[^'\n]{1,256}'|[^\s\"'-][^\s\"']{0,256})"
_SCHEME = r"(?:[ \t]|%20){1,4}(?P<secret>(?=[^\s\"']{0,512}?(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9+/=._~-]{8,})"
BEHIND = {
    word: re.compile(pattern)
    for word, pattern in {
        "://": (
            r"(?:hooks\.slack\.com/(?:services|workflows)/|(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d{1,20}/"
            r"|api\.softlayer\.com/soap/v[0-9.]{1,5}/"
            r"|[^\s:/@\"'<>]{0,256}:(?!\d{1,5}[/?#])(?=[^\s/\"'<>]{1,512}@))(?P<secret>[^\s/\"'<>]{1,512}(?=@)|(?<=/)[\w/-]{20,})"
        ),
        "%3a%2f%2f": r"(?i:(?:[\w.~-]|%(?!3A|2F|40)[0-9A-F]{2}){0,64}%3A(?P<secret>(?:[^\s/@&\"'%]|%(?!40)[0-9A-F]{2}){1,256})%40)",
        "jdbc:oracle:": r"\w{1,10}:[^/\s@]{1,64}/(?P<secret>[^\s@]{1,128})@",
        "bearer": _SCHEME,
        "basic": _SCHEME,
        "sig": r"(?:(?i:nature))?=(?P<secret>[A-Za-z0-9+/%]{30,}={0,2})",  # presigned URLs
        "redis-cli": r"\b[^\n|;&]{0,120}?\s-a\s+" + _OF,
        **dict.fromkeys(("sshpass", "mysql", "mariadb", "mongo", "login"), r"[\w-]{0,8}\b[^\n|;&]{0,200}?\s-p[ ]?" + _OF),
        **dict.fromkeys(("curl", "wget"), r"\b[^\n|;&]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,128}:(?P<secret>[^\s\"']{1,256})"),
    }.items()
}
# words looked for one by one, each where the text holds the string before it
_GATES = (
    ("://", ("://",)),
    ("%3a", ("%3a%2f%2f",)),
    ("jdbc:", ("jdbc:oracle:",)),
    ("-cli", ("redis-cli",)),
    ("@", ("@tcp(", "@unix(")),
    (" -p", ("sshpass", "mysql", "mariadb", "mongo", "login")),
    (" -u", ("curl", "wget")),
    (" --user", ("curl", "wget")),
)
# words looked for together: parts of names, and three of those above
HINT = re.compile("p(?:ass|wd|sk)|s(?:ecret|ig)|token|c(?:redential|ookie)|key|auth|d(?:sn|ockerc)|jwt|b(?:earer|asic)")


def _mysql_address(text: str, at: int) -> Iterator[tuple[int, int]]:
    """user:password@tcp(host)/database, as Go's driver has it."""
    begin = max(at - 330, text.rfind("@", max(0, at - 330), at) + 1, 0)
    address = re.split(r"[\s\"'=]", text[begin:at])[-1]
    if ":" in address and not address.endswith(":"):
        yield at - len(address) + address.index(":") + 1, at


def places(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Secrets at places of their own: in URLs, behind flags of well-known programs."""
    for word in {word for gate, words in _GATES if gate in low for word in words}:
        pattern, at = BEHIND.get(word), low.find(word)
        while at >= 0:
            if pattern is None:
                yield from _mysql_address(text, at)
            elif found := pattern.match(text, at + len(word)):
                yield found.span("secret")
            at = low.find(word, at + len(word))


# ---- private keys ---------------------------------------------------------------------------------------------------------------------

_BEGIN = re.compile(r"----[- ]BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_FINISH = re.compile(r"----[- ]END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PUTTY = re.compile(r"PuTTY-User-Key-File-\d[^\n]*(?:\n(?:\S{8,40}[ \t])?(?:[A-Za-z-]{3,20}: [^\n]{0,200}|[A-Za-z0-9+/=]{1,80}))*")
_KEY_TEXT = r"(?:\S{8,40}[ \t])?(?:[A-Za-z0-9+/=]{4,80}|(?:Proc-Type|DEK-Info):[^\n\\]{0,80})[ \t]*"
_KEY_LINE = re.compile(rf"(?:\\r|\\n|[\r\n])+{_KEY_TEXT}(?=[\r\n\\\"']|$)")
_KEY_LINE_BEFORE = re.compile(r"(?:^|\\n|[\r\n\"'])(?P<line>(?:\S{8,40}[ \t])?[A-Za-z0-9+/=]{16,80}(?:\\r|\\n|[\r\n])+(?:\S{8,40}[ \t])?)$")


def private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Private keys over several lines, also those whose head or foot is cut off."""
    if "----" in text:
        yield from _pem(text)
    if "PuTTY-User-Key-File" in text:
        yield from (key.span() for key in _PUTTY.finditer(text))


def _pem(text: str) -> Iterator[tuple[int, int]]:
    after, complete = 0, True
    while head := _BEGIN.search(text, after):
        foot = _FINISH.search(text, head.end()) if complete else None
        complete = foot is not None
        after = foot.end() if foot else head.end()
        while not foot and (line := _KEY_LINE.match(text, after)):
            after = line.end()
        yield head.start(), after
    after = 0
    for foot in _FINISH.finditer(text):
        start = foot.start()
        while start > after and (line := _KEY_LINE_BEFORE.search(text, max(after, start - 130), start)):
            start = line.start("line")
        if start < foot.start():
            yield start, foot.end()
        after = foot.end()


# ---- objects of kind Secret, as text --------------------------------------------------------------------------------------------------

BLOCK = re.compile(r"[|>][+-]?\d?")
_KIND = re.compile(r"kind\\*[\"']?[ \t]*:[ \t]*\\*[\"']?Secret(?:List)?\b(?!\w)")
_JSON_DATA = re.compile(r"\\*\"(data|stringData)\\*\"\s{0,20}:\s{0,20}\{([^{}]{0,1000000})\}")
_JSON_VALUE = re.compile(r"\"\s{0,20}:\s{0,20}(\\*\")(?P<value>(?:(?!\1)[^\n])+)")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_YAML_DATA = re.compile(r"^(?P<indent>[ ]*)(?:- )?(?:data|stringData):[ \t]*$", re.MULTILINE)
_YAML_VALUE = re.compile(r"(?P<indent>[ ]*)(?:- )?[\w.\"'-]+:[ \t]*[\"']?(?P<value>[^\s\"'][^\n]*?)[\"']?[ \t]*$")


def secret_objects(text: str) -> Iterator[tuple[int, int]]:
    """Every value of data and stringData in a text that holds an object of kind Secret, as JSON or YAML."""
    if "Secret" not in text or not _KIND.search(text):
        return
    for data in _JSON_DATA.finditer(text):
        for value in _JSON_VALUE.finditer(text, *data.span(2)):
            if data[1] == "stringData" or _BASE64.fullmatch(value["value"]):
                yield value.span("value")
    for data in _YAML_DATA.finditer(text):
        at, indent = data.end() + 1, len(data["indent"]) + ("- " in data.group()) * 2
        while at < len(text):
            end = text.find("\n", at) if text.find("\n", at) >= 0 else len(text)
            line = text[at:end]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
                break
            entry = _YAML_VALUE.match(line)
            if entry and BLOCK.fullmatch(entry["value"]):
                yield from block(text, at + len(entry["indent"]), end)
            elif entry:
                yield at + entry.start("value"), at + entry.end("value")
            at = end + 1


def block(text: str, start: int, at: int) -> Iterator[tuple[int, int]]:
    """The lines of a YAML block: those that are indented deeper than its name."""
    head = text[text.rfind("\n", 0, start) + 1 : start]
    indent = len(head) - len(head.lstrip(" "))
    end = text.find("\n", at)
    first = end
    while 0 <= end < len(text) - 1:
        line = text[end + 1 : text.find("\n", end + 1) if text.find("\n", end + 1) >= 0 else len(text)]
        if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
            break
        end += 1 + len(line)
    body = text[first + 1 : end] if first >= 0 else ""
    if body.strip() and body.strip() != MASK:
        yield first + 1 + len(body) - len(body.lstrip(" ")), first + 1 + len(body.rstrip())
