# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a log line is about: the host and port, the path, the variable, the user, and what the API server forbids.

Each function takes one line (at most 2000 characters) and returns "" (or None) where it finds nothing. None raises.
"""

from __future__ import annotations

import re

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\.?"
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
_HOST = rf"(?P<host>{_NAME}|{_IP}|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?P<port>\d{1,5})"
_SOURCE_FILE = r"(?!\S*\.(?:go|py|js|mjs|cjs|ts|rb|java|kt|cs|php|rs|c|cc|cpp|scala|ex|exs|erl|ya?ml|json|conf|cfg|toml)\b)"
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        # Go: dial tcp 10.0.0.1:5432: connect: ...; dial tcp: lookup db on 10.96.0.10:53: no such host
        rf"lookup {_HOST}(?: on |: |\.$| )",
        rf"dial (?:tcp|udp)[46]?:? {_HOST}(?::{_PORT})?:? ",
        # libpq: server at "db" (10.96.1.2), port 5432; host name "db"; MySQL: server on 'db:3306' (111); JDBC: db:5432 refused
        (
            rf"(?i:server at|server on|host name|server host|upstream|hostname|host|broker) [\"'`]{_HOST}(?::{_PORT})?[\"'`](?:"
            r" \([^)]{0,80}\),? port (?P<port_>\d+))?"
        ),
        rf"host(?:name)?=[\"']?{_HOST}[\"']?,? port=[\"']?{_PORT}",
        rf"addr(?:ess)?=[\"']?{_HOST}:{_PORT}",
        rf"ECONNREFUSED {_HOST}:{_PORT}",
        rf"(?:ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET) {_HOST}:{_PORT}",
        rf"(?:ENOTFOUND|EAI_AGAIN) {_HOST}(?::{_PORT})?",
        # names that do not resolve
        rf"(?i:could ?n[o']t resolve(?: host(?:name)?)?|cannot resolve|can't resolve|bad address|unknown host|UnknownHostException|no such"
        rf" host|failed to resolve|host not"
        rf" found|unable to resolve(?: host)?|not resolve(?: host(?:name)?| proxy)?|getaddrinfo for|getaddrinfo failed for|address of|name"
        rf" resolution for|php_network_getaddresses:"
        rf" getaddrinfo for):?\s{{0,3}}(?:host|name|in upstream|address)?:?\s?[\"'`(]?{_HOST}(?::{_PORT})?",
        rf"(?i:temporary failure in name resolution)[^\n]{{0,20}}\b(?:for|host) [\"']?{_HOST}",
        # Python: HTTPConnectionPool(host='api', port=80)
        rf"host=[\"']?{_HOST}[\"']?",
        rf"remote host \((?P<host>{_IP})\)",
        rf"\({_HOST}/{_IP}:{_PORT}\)",
        rf"can't find {_HOST}: NX",
        rf"(?P<host>{_NAME})/<unresolved>:{_PORT}",
        # URLs, with or without a user
        rf"[a-z][a-z0-9+.-]{{1,20}}://(?:[^\s/@'\"]{{0,200}}@)?{_HOST}(?::{_PORT})?",
        # .NET: (db:5432); asyncpg: ('10.0.0.1', 5432); nc: db (10.1.2.3:5432): Connection refused
        rf"[(\[][\"']{_HOST}[\"'], {_PORT}[)\]]",
        rf"(?:^|\s){_HOST} \({_IP}:{_PORT}\)",
        rf"(?:[Cc]onnect(?:ion)? to|[Cc]onnect(?:ing)? to|[Rr]each|[Cc]ontact|[Rr]esolve|connection with)"
        rf" (?:(?:server|host|node|broker|redis|postgres|mysql|mongo\w*|remote host)"
        rf"(?: at)?:? )?[\"'`(]?{_SOURCE_FILE}{_HOST}(?::| port |, port )[\"']?{_PORT}\b",
        rf"[\"'`(]{_SOURCE_FILE}{_HOST}:(?P<port>\d{{2,5}})[\"'`)]",
        # anything that stands before a port, in a line about a connection
        (
            r"(?i:connect|reach|resolve|lookup|contact|refused|timed?"
            rf" ?out|unavailable|brokers?)[^\n]{{0,200}}?(?<![\w./:-]){_SOURCE_FILE}{_HOST}:(?P<port>\d{{2,5}})\b"
        ),
        (
            rf"(?<![\w./:-]){_SOURCE_FILE}{_HOST}:(?P<port>\d{{2,5}})\b[^\n]{{0,200}}(?i:refused|timed?"
            r" ?out|unreachable|unavailable|failed|not reachable|not available|not responding|is down|no route|returned|responded|answered)"
        ),
        rf"\b(?:at|to|on|from) [\"'`]?{_SOURCE_FILE}{_HOST}:(?P<port>\d{{2,5}})(?![\w:.])",
        rf"(?i:refused|timed out|unreachable|no route to host|failed)[^\n]{{0,40}}[:(] ?{_SOURCE_FILE}{_HOST}[:/](?P<port>\d{{2,5}})\b",
        (
            r"(?i:connect to|connection to|reach|nslookup|ping):? (?:host |server |database |the"
            rf" )?[\"'`]?(?P<host>{_IP}|(?=[\w-]*[.-])[a-z][\w.-]*\w)(?=[\s\"'`:,]|$)"
        ),
    )
)
_NO_HOSTS = frozenset(
    "to host the server database at a an remote tcp http https on in of for by from port error failed name address and with via is was"
    " db_host none null undefined service connection upstream errno connect client request".split()
)
_LOCAL = re.compile(r"(?i)localhost(?:\.localdomain)?$|127\.\d+\.\d+\.\d+$|\[?::1\]?$|0\.0\.0\.0$|\[?::\]?$")

_PATH = r"(?P<path>(?:/(?!/)|\./|~/)[^\s:;,'\"`()<>\[\]{}|?*\\]{1,300}|[A-Za-z]:\\[^\s:;,'\"()]{1,300})"
_ON_FILES = (
    "open|stat|lstat|read|write|writing|mkdir|create|creating|chown|chmod|unlink|remove|access|load(?:ing)?|file|directory|path|find|module"
    "|jarfile|lock|rename|dir"
)
_PATHS = tuple(
    re.compile(pattern)
    for pattern in (
        (
            r"(?i:no such file or directory|permission denied|read-only file system|is a directory|no space left on device|operation not"
            rf" permitted)[^\n]{{0,30}}? (?:-|@ \w+ -|:|, \w+|on) ['\"`]?{_PATH}"
        ),
        rf"(?i:{_ON_FILES})(?: of| to|\(\))?:? ['\"`(]?{_PATH}",
        rf"['\"`]{_PATH}['\"`]",
        rf"(?:^|[\s(=:\[]){_PATH}",
    )
)
_FILE = re.compile(
    r"(?i)(?:config(?:uration)? file|file|module|could not find|can't find|cannot find|unable to (?:open|find|load|access|read)|missing|no"
    r" such file(?: or directory)?|not found"
    r"|opening|loading|load|open|read)(?: config(?:uration)?)?(?: file| module| jarfile)?:?,? ?[-:(]?"
    r" ?[\"'`]?(?P<path>[\w.-]*[\w-]\.[A-Za-z]{1,6}\b|[\w.-]+/[\w./-]+)"
)
_FILE_AND_LINE = (
    re.compile(r"\b(?:in|at|of|file|parsing|on) \[?[\"'`]?(?P<path>/[^\s:\"'`\]]{1,300})[\"'`]?:(?P<line>\d+)"),
    re.compile(r"(?i)\bline (?P<line>\d{1,6})(?:,? (?:of|in)| column \d+ of)? ?(?:file )?[\"'`]?(?P<path>/[^\s:\"'`]{1,300})?"),
    re.compile(r"(?P<path>/[^\s:\"'`\[\](]{1,300}):(?P<line>\d+)\b"),
)
_BOUND = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)\bport[ =:\"']{1,3}(?P<port>\d{1,5})\b",
        r"(?i)(?:listen|bind|bound|address)[^\n]{0,160}?(?:\]|\d|::|\*|\s|localhost|[\w.-]+):(?P<port>\d{1,5})\b",
        r"\(['\"][\d.:*]*['\"], (?P<port>\d{1,5})",
        r"(?:0\.0\.0\.0|\[::\]|::|\*|127\.0\.0\.1|localhost):(?P<port>\d{1,5})\b",
        r":(?P<port>\d{2,5})\b(?!:)",
    )
)
_V = r"[\"'`$({\[]{0,3}(?P<variable>[A-Z][A-Z0-9]*_[A-Z0-9_]*|[A-Z][A-Z0-9]{2,})\b(?!\.\w)"
_LACKS = "not|is|must|was|isn't|are|missing|required|undefined|unset|empty|environment|env|setting|to"
_ASKS = (
    r"required key|(?:missing|required)(?: the)?(?: required)?(?: setting| variable| config(?:uration)?| parameter| option| property| key|"
    r" value)?(?: for)?:?"
    r"|(?:must|please|need to|to) (?:set|specify|provide|define|export)(?: the)?|set the"
)
_SETTING = r"[\"'`](?P<variable>[A-Za-z][\w.:-]{1,80})[\"'`]"
_VARIABLES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^\s*- (?P<variable>[A-Z][A-Z0-9_]{3,})$",
        r"(?:^|\s)(?P<variable>[A-Za-z_]\w*): (?:unbound variable|parameter (?:null or )?not set|must be set)",
        r"KeyError: ['\"](?P<variable>[A-Z][A-Z0-9_]+)['\"]",
        r"key not found: \"(?P<variable>\w+)\"",
        (
            r"(?i:env(?:ironment)?[ -]?var(?:iable)?s?|envvar|\benv)\b(?:(?i: named| not found| not set| is missing| missing| required|"
            rf" called| is not set))?\s?[:=]?\s?(?-i:{_V})"
        ),
        rf"(?i:{_ASKS}) (?-i:{_V})",
        rf"(?-i:{_V})[\"'`)}}\]]{{0,2}},?:?\s(?=(?:[\w ]{{0,40}}\s)?(?:{_LACKS})\b)",
        r"[Cc]ould not resolve placeholder '(?P<variable>[^'\s]{1,100})'",
        (
            r"(?i:setting|property|parameter|option|flag|argument|configuration|config key|key|variable|field|placeholder|config"
            rf" property|value for)s?:? (?-i:{_SETTING})"
        ),
        rf"(?i:missing|required)[^\n\"'`]{{0,40}}(?-i:{_SETTING})",
        rf"(?-i:{_SETTING}) (?:is|was|must|setting|option|config|cannot|not|parameter)\b",
        (
            r"(?:[Cc]onfig property|property|[Tt]he) (?P<variable>[A-Za-z][\w-]*(?:[._][\w-]+)+) (?:is required|setting|must|is not set|not"
            r" set|was not)"
        ),
        r"(?i:required|option|flag|argument):? (?P<variable>--[a-z][\w-]+)",
        r"(?i:missing|required|requires) (?:required )?(?:option|flag|argument|setting|parameter)s?:? (?P<variable>--?[\w-]+)",
        rf"(?-i:{_V})(?=[^\n]{{0,60}}(?i:not set|missing|required|unset|undefined|not defined))",
    )
)
_NOT_VARIABLES = frozenset(
    "ERROR FATAL WARN WARNING INFO DEBUG PANIC CRITICAL MUST NOT REQUIRED MISSING ENV THE HTTP HTTPS JSON YAML TLS SSL URL API SQL EOF UTC"
    " NULL TRUE FALSE VARIABLE LOG TCP UDP DNS AND FOR ERR CONFIG SQLSTATE HINT DETAIL".split()
)
_FORBIDDEN = re.compile(
    r"User \"(?P<user>[^\"]{1,300})\" cannot (?P<verb>[\w*]+) (?:resource \"(?P<resource>[^\"]{1,200})\"(?: in API group"
    r" \"(?P<group>[^\"]{0,200})\")?"
    r"(?: in the namespace \"(?P<namespace>[^\"]{1,100})\"| at the cluster scope)?|path \"(?P<path>[^\"]{1,300})\")"
)
_USERS = re.compile(
    r"(?i)(?:user(?:name)?(?: name)?|role|login|principal|account)[ =:]{1,2}[\"'`](?P<user>[^\"'`\s]{1,80})[\"'`]|\buser[=:]"
    r" ?(?P<user_>[\w.@-]{1,80})"
)


def address(text: str) -> tuple[str, int] | None:
    """(host, port or 0) that a line says it wanted to reach."""
    best: tuple[str, int] | None = None
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            found = match.groupdict()
            host = found["host"].rstrip(".").strip("[]") if found["host"].count(":") < 2 else found["host"].strip("[]")
            if host.lower() in _NO_HOSTS:
                continue
            port = int(found.get("port") or found.get("port_") or 0)
            if port > 65535 or (best and best[0] != host):
                continue
            if port:
                return _name_of(host, port, text), port
            best = best or (host, 0)
            break
    return best


def _name_of(host: str, port: int, text: str) -> str:
    """The name that stands before the same port elsewhere in the line, instead of an address."""
    if not re.fullmatch(_IP, host):
        return host
    found = re.search(rf"(?<![\w./:@-]){_SOURCE_FILE}(?P<host>(?=[\w.-]*[a-z]){_NAME}):{port}\b", text)
    return found["host"] if found and found["host"].lower() not in _NO_HOSTS and not is_local(found["host"]) else host


def is_local(host: str) -> bool:
    return bool(_LOCAL.match(host))


def path(text: str) -> str:
    found = next((match["path"] for pattern in _PATHS if (match := pattern.search(text)) and len(match["path"]) > 2), "")
    if not found and (match := _FILE.search(text)):
        found = match["path"]
    return found.rstrip(".,")


def place(text: str) -> tuple[str, int]:
    """(file, line) of a configuration file: ("", 0) where none is named."""
    best = ("", 0)
    for pattern in _FILE_AND_LINE:
        if match := pattern.search(text):
            if match["path"]:
                return match["path"], int(match["line"])
            best = ("", int(match["line"]))
    return best


def bound_port(text: str) -> int:
    """The port that could not be bound."""
    return next((int(match["port"]) for pattern in _BOUND if (match := pattern.search(text)) and 0 < int(match["port"]) <= 65535), 0)


def variable(text: str) -> str:
    """The environment variable or setting that is missing."""
    for pattern in _VARIABLES:
        for match in pattern.finditer(text):
            if match["variable"] not in _NOT_VARIABLES:
                return match["variable"].strip(".,:")
    return ""


def user(text: str) -> str:
    match = _USERS.search(text)
    return (match["user"] or match["user_"] or "") if match else ""


def forbidden(text: str) -> dict[str, str]:
    """{user, verb, resource, group, namespace or path} of a refusal by the API server."""
    match = _FORBIDDEN.search(text.replace('\\"', '"'))
    return {key: value for key, value in match.groupdict().items() if value} if match else {}
