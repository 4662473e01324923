# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What applications say when something goes wrong, and what they mean by it: one row each.

The first row that fits a statement wins, so special ones come first. A row's alternatives are regular expressions without regard to case, on lines of
their own or between bars; a line that begins with + goes on with the one before. They are only tried where one of the row's words stands in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Row(NamedTuple):
    """``says``: a sentence's rest after "the application", with {target}, {path}, {variable}... of the entry."""

    code: str
    says: str
    words: tuple[str, ...]  # in small letters
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None


def _row(code: str, says: str, words: str, alternatives: str, unless: str = "", how: bool = False, exact: bool = False) -> Row:
    """``how``: what matched is part of the sentence; ``exact``: capitals count."""
    pattern = "|".join(line.strip() for line in re.sub(r"\n *\+", "", alternatives).splitlines() if line.strip())
    pattern = f"(?P<how>{pattern})" if how else pattern
    flags = re.RegexFlag(0) if exact else re.IGNORECASE
    return Row(code, says, tuple(words.split("|")), re.compile(pattern, flags), re.compile(unless, re.IGNORECASE) if unless else None)


_UNREACHABLE, _LOGIN, _NAME = "DependencyUnreachable", "DependencyRefusesLogin", "NameNotResolved"
_CONFIG, _FILE, _ENV = "ConfigurationInvalid", "FileMissing", "EnvironmentMissing"
_STARTS = r"\bexec(?:ve)?\b[:( ]"  # what the runtime or a shell says of a command: not a file that the application misses

CAUSES: tuple[Row, ...] = (
    _row(
        "ImageWrongArchitecture",
        "is built for another processor architecture (exec format error)",
        "exec format|binary file",
        r"""
            exec format error|cannot execute binary file
        """,
    ),
    _row(
        "AppCrash",
        "used up the memory that its runtime allows it (heap exhausted; the kernel did not kill it)",
        "outofmemory|heap out of|memoryerror|memory",
        r"""
            java\.lang\.OutOfMemoryError(?!: unable to create)|JavaScript heap out of memory|\bMemoryError\b
            fatal error: runtime: (?:cannot allocate|out of) memory|Allowed memory size of \d+ bytes exhausted|std::bad_alloc|NoMemoryError
            memory allocation of \d+ bytes failed|System\.OutOfMemoryException|eheap_alloc: Cannot allocate
        """,
        exact=True,
    ),
    _row(
        "RBACForbidden",
        "may not {verb} {resource}: the API server forbids it to {user}",
        "cannot|forbidden",
        r"""
            is forbidden: User|User \\?\"[^\"]+\\?\" cannot \w+ (?:resource|path)
        """,
    ),
    _row(
        "RBACForbidden",
        "is refused by the API server (forbidden)",
        "forbidden|403",
        r"""
            (?:\b403\b|forbidden).{0,120}(?:system:serviceaccount:|kubernetes|k8s|/apis?/)|kubernetes\.client.{0,80}\(403\)
            Error from server \(Forbidden\)
        """,
    ),
    _row(
        "PortInUse",
        "cannot listen on {port}, which is already in use",
        "in use|can't connect to (|eaddrinuse|already|one usage|os error 98|another",
        r"""
            address (?:is )?already in use|EADDRINUSE|address in use|port \d+ (?:is|was) (?:already )?(?:in use|allocated|taken|being used)
            only one usage of each socket|connection in use: \(|can't connect to \('(?:0\.0\.0\.0|\[?::)|
            +port.{0,20} already (?:in use|bound)|os error 98\b|bind: .{0,20}in use
            another (?:postmaster|instance) .{0,60}on port
        """,
    ),
    _row(
        "NoSpaceLeft",
        "finds no space left on {where}",
        "space|enospc|quota|edquot|disk|os error 28",
        r"""
            no space left on device|ENOSPC|disk quota exceeded|EDQUOT|not enough (?:free )?(?:disk )?space|no usable space|disk is full
            database or disk is full|insufficient disk space|disk full|flood.stage disk watermark|os error 28\b
        """,
        unless=r"(?:inotify|file watchers|watch )",
    ),
    _row(
        "ReadOnlyFileSystem",
        "writes to {path}, on a read-only file system",
        "read-only|readonly|erofs|os error 30",
        r"""
            read-?only file ?system|\bEROFS\b|os error 30\b
        """,
    ),
    _row(
        _FILE,
        "cannot load the shared library {how}, which its image lacks",
        "shared",
        r"""
            (?<=loading shared libraries: )lib[\w.+-]+(?=: cannot open)|(?<=Error loading shared library )lib[\w.+-]+
        """,
        how=True,
    ),
    _row(
        _FILE,
        "cannot find {path}, which its TLS setup needs",
        "no such file|cannot find|not found|enoent",
        r"""
            (?:certificate|tls|ssl|key ?pair|x509|\.pem|\.crt|\.key).{0,200}(?:no such file|cannot find|not found: /|ENOENT)
        """,
    ),
    _row(
        "CertificateInvalid",
        "does not accept the TLS certificate of {target} ({how})",
        "cert|x509|pkix|ssl|private key|key values|hostname mismatch|certification|self",
        r"""
            x509: [^;\"\n]{1,160}|certificate verify failed(?:: [^(\n]{1,80})?
            certificate (?:has|is) (?:expired|not yet valid|not trusted|invalid|revoked)|certificate expired
            self[- ]signed certificate(?: in certificate chain)?|CERT_HAS_EXPIRED|UNABLE_TO_VERIFY_LEAF_SIGNATURE
            DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT\w*|ERR_TLS_CERT_ALTNAME_INVALID
            PKIX path \w+ failed|unable to find valid certification path|certificate signed by unknown authority
            unable to get (?:local )?issuer certificate|remote certificate (?:is|was) (?:invalid|rejected)[^\n]{0,80}|RemoteCertificate\w+
            SSL certificate problem[^\n]{0,80}|certificateexpired\w*|certificatenotyetvalid\w*
            no alternative certificate subject name[^\n]{0,60}|no subject alternative \w+[^\n]{0,60}|invalid peer certificate[^\n]{0,60}
            private key does not match public key|key values mismatch|hostname mismatch[^\n]{0,80}|SSLHandshakeException[^\n]{0,80}
            SSL_ERROR_SSL: [^\n]{0,60}|sslv3 alert (?:bad|unknown) certificate\w*|tlsv1 alert unknown ca
            tls: (?:bad|unknown) certificate(?: authority)?|CertificateException[^\n]{0,60}
        """,
        how=True,
    ),
    _row(
        "CertificateInvalid",
        "and {target} do not agree on TLS ({how})",
        "tls|wrong version|https|ssl",
        r"""
            first record does not look like a TLS handshake|wrong version number|server gave HTTP response to HTTPS client
            SSL is not enabled on the server|server does not support SSL[^\n]{0,40}
        """,
        how=True,
    ),
    _row(
        _LOGIN,
        "is refused by {target}: the login{who} is not accepted",
        "auth|password|access|wrongpass|noauth|login|sasl|ora-01017|pg_hba|28p01|signature|clienttoken|535|credential|key|"
        "publickey|does not exist|401|user|permission denied for|must be|security|permitted",
        r"""
            (?:password|scram|md5|peer|ident|ldap|gssapi) authentication failed|no password supplied|access denied for user|\bWRONGPASS\b
            \bNOAUTH\b|invalid username-password|authentication failed|AuthenticationFailed|authentication failure|ACCESS_REFUSED
            login was refused|not permitted to log ?in|failed to log ?in\b(?! page)
            login failed for user|SASL.{0,60}(?:failed|error|failure)|ORA-01017|no pg_hba\.conf entry|\b28P01\b
            InvalidAccessKeyId|SignatureDoesNotMatch|InvalidClientTokenId|AWS Access Key Id you provided|\b535[ -]
            (?:invalid|incorrect|wrong) (?:api[ -]?key|credentials?|password|username|access token|auth\w* token)|bad credentials
            client password must be a string|permission denied \((?:publickey|password)|(?:role|user) \"[^\"]+\" does not exist
            \bunauthorized\b.{0,60}(?:token|credential|key|login)|(?:status|code|HTTP|error)[^\n]{0,20}\b401\b|\b40[13]:? permission denied
            401 (?:Client Error: )?Unauthorized|AUTH.{0,30}called without any password|user .{1,60} is not allowed
            authentication (?:is )?required|unable to authenticate|requires authentication|not authorized on \w+ to execute
            permission denied for (?:table|schema|database|relation|sequence|function)|must be (?:owner|superuser)|security_exception
        """,
    ),
    _row(
        _NAME,
        "cannot resolve the name {target}",
        "host|enotfound|eai_|name|bad address|resol|getaddrinfo|lookup|look up|misbehaving|nxdomain|dns|address|domain",
        r"""
            no such host(?! file)|(?-i:ENOTFOUND)|EAI_AGAIN|EAI_NONAME|name or service not known|failure in name resolution
            nodename nor servname|UnknownHost|could not translate host name|(?:wget|ping|nc|telnet):? bad address|bad address ['\"]
            could ?n[o']t resolve(?! placeholder)|can't find \S+: NX|cannot resolve (?!placeholder|symbol)|
            +can't resolve (?!placeholder)|host not found
            getaddrinfo (?:failed|for)|name does not resolve|no address associated with|failed to lookup address|server misbehaving|NXDOMAIN
            unknown host|php_network_getaddresses|unknown mysql server host
            failed to resolve (?!(?:\w+ )?(?:import|module|placeholder|dependency))|NameResolutionError|host is known|could not look ?up
            lookup \S+(?: on \S+)?: |no such domain|resolving host|not resolve (?:host|address|name)|unable to resolve host
            DNS (?:resolution|lookup) (?:failed|error)|\(non-existent domain\)
        """,
    ),
    _row(
        _ENV,
        "misses {variable}, which is not set",
        "env|variable|not set|missing|keyerror|key not found|placeholder|notpresent|undefined|no application|secret_key|not specified|must"
        " |none|null|nil|blank|export|required|unset|empty|mandatory|please|to set|specify|not found|not provided|not defined|not"
        " configured",
        r"""
            env(?:ironment)?[ -]?var(?:iable)?s?\b.{0,120}(?:not|missing|required|undefined|unset|must|empty|needed|absent)
            (?:missing|required|unset|undefined|need|set|specify|define|no) .{0,80}(?:env(?:ironment)?[ -]?var|environment setting)
            unbound variable|parameter (?:null or )?not set|required key \w+ missing
            KeyError: ['\"](?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]*|[A-Z]{3,})['\"]|key not found: \"(?-i:[A-Z][A-Z0-9_]+)\"|not resolve placeholder
            NotPresent\b|UndefinedValueError|MissingAppKey|no application encryption key|missing [`']?secret_key_base
            superuser password is not specified|password option is not specified|setting must not be empty
            \b(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b["'`)}\]]{0,2}:? (?:\w+ ){0,3}?(?:is |was |are |be |must |has )?(?:not (?:been |
            +be )?(?:set|defined|provided|found|specified|configured|present|empty|exist)
            +|missing|required|unset|undefined|empty|must be (?:set|provided|defined|specified|given)|be (?:set|provided|defined|specified)
            +|needs? to be set|mandatory|is needed|(?:not|never) be (?:None|null|nil|blank|empty)|(?:is|was) (?:None|null|nil|blank))\b
            \b(?-i:(?!ERROR|FATAL|WARN|INFO|CRIT|PANIC|ALERT|SEVERE|DEBUG|NOTICE|EMERG|HTTP|JSON|YAML|
            +FAIL)[A-Z]{4,})\b["'`)}\]]{0,2}:? (?:is |was |are |be |must |has )?(?:not (?:been |be )?(?:set|defined|provided|found|
            +specified|configured|present|empty|exist)
            +|missing|required|unset|undefined|empty|must be (?:set|provided|defined|specified|given)|be (?:set|provided|defined|specified)
            +|needs? to be set|mandatory|is needed)\b
            (?:missing|required|undefined|unset)(?: [\w]+){0,4}:? [\"'`$({]{0,2}(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b
            missing required (?:config|setting|option|parameter|property|value|field|argument|flag|key)
            (?:please|must|need to|to) (?:set|specify|provide|define|export) (?:the )?[\"'`$({]{0,2}(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b
            config property \S+ is required
            required (?:config(?:uration)?|setting|property|option|parameter|argument|flag)[^\n]{0,60} (?:is |was |are )?(?:missing|
            +not (?:set|found|provided|specified)|without|has no default)
            (?:option|flag|setting|property|parameter|argument|field)s? [\"'`][\w.-]+[\"'`] (?:is|are) (?:required|missing|
            +mandatory|not set)
            (?:option|flag|argument)s? .{0,40}\b(?:is|are) required|arguments are required: -|flag\(s\) .{1,80} not set
            (?:missing|must be provided|required).{0,10}(?:database url|connection string|api key|secret key)
            (?:database url|connection string|api key|secret key)[^\n]{0,60}(?:is (?:missing|required|not set|empty|not configured)|
            +not (?:set|found|provided|configured)|must be set)
        """,
        unless=r"\b(?:invalid|unsupported|bad|illegal) value|is not a (?:valid|number)",
    ),
    _row(
        "PermissionDenied",
        "may not bind {port} (permission denied)",
        "permission|eacces|permitted",
        r"""
            bind[^\n]{0,160}(?:permission denied|EACCES|not permitted)|EACCES[^\n]{0,80}\b(?:0\.0\.0\.0|listen|::|:\d)
            (?:BindException|SocketException): Permission denied
        """,
    ),
    _row(
        "PermissionDenied",
        "may not use {path} (permission denied)",
        "permission|eacces|eperm|permitted|accessdenied|unauthorizedaccess|denied|writ|readable|ownership|os error 13",
        r"""
            (?<!403 )(?<!401 )permission denied(?! \((?:publickey|password))|\bEACCES\b|\bEPERM\b|operation not permitted|AccessDeniedException
            UnauthorizedAccessException|access to the path .{1,200} is denied|(?:is |are )?not (?:writable|writeable|readable) by
            (?:/\S+|directory|folder|path|file|volume)[\"'`]? (?:is )?(?:not |un)(?:writable|writeable|readable)|wrong ownership
            has invalid permissions|has (?:group or world|wrong) (?:access|permissions)|access denied[^\n]{0,40}(?:/|file|path|director)
            (?:cannot|could not|unable to|failed to) write to (?:the )?(?:directory|/)|insufficient permissions?[^\n]{0,60}/|os error 13\b
        """,
    ),
    _row(
        _FILE,
        "cannot find {path}",
        "no such file|enoent|filenotfound|nosuchfile|jarfile|open|could not find|os error 2",
        r"""
            no such file or directory|ENOENT\b|FileNotFound\w*|NoSuchFile\w*|could not find (?:file|a part of the path)|
            +unable to access jarfile
            can't open (?:file )?['\"/]|could not open input file|cannot open shared object|os error 2\)
        """,
        unless=_STARTS,
    ),
    _row(
        _UNREACHABLE,
        "cannot reach {target} (connection refused)",
        "refused|111|connect()|failed",
        r"""
            connection (?:was )?refused|ECONNREFUSED|actively refused|ConnectionRefused|os error 111\b|\(111\)|errno 111|connect\(\) failed
            nc: .{0,80}failed
        """,
    ),
    _row(
        _CONFIG,
        "runs a shell script whose lines end as on Windows (CRLF), which the shell does not understand",
        "illegal option -|^m|\\r|bad option",
        r"""
            set: (?:line \d+: |\d+: )?(?:illegal|bad|invalid) option:? -\s*$|\^M\b|\\r['\"]?: (?:command not found|no such file)
        """,
    ),
    _row(
        _CONFIG,
        "asks for a database that its server does not have ({how})",
        "database",
        r"""
            database [\"'][^\"'\n]{1,80}[\"'] does not exist|unknown database:? \S+
        """,
        how=True,
    ),
    _row(
        _CONFIG,
        "is started with an option that it does not know ({how})",
        "option|flag|argument",
        r"""
            unknown (?:shorthand )?(?:command.line )?flag:? [^\n]{1,60}|flag provided but not defined: \S+
            unrecogni[sz]ed (?:arguments?|options?|flags?):? [^\n]{1,60}|unexpected argument [^\n]{1,60}? found
            (?:invalid|illegal) option -- \S+|unknown (?:command.line )?option:? ['\"`]?-[^\n]{1,60}|no such option:? -\S+
        """,
        how=True,
        unless=r"\.(?:conf|cnf|cfg|ini|ya?ml|toml|properties)\b",
    ),
    _row(
        _CONFIG,
        "cannot read its configuration{place}",
        "config|cannot|can't|could|directive|emerg|arguments|unexpected|yaml|scannererror|parsererror|toml|missingsection|bind"
        " properties|validation|contains errors|syntax|unknown|not defined|unrecogni|invalid|misspelled|parsing|url|dsn|unsupported|does"
        " not exist|reload|script_location|bad |settings|malformed|.json",
        r"""
            \[emerg\][^\n]{0,300}\bin /\S+:\d+|unknown directive|invalid number of arguments in
            unexpected (?:end of file|\"[;{}]\"), expecting
            config(?:uration)? (?:file )?(?:error|failure|syntax|test failed|is invalid|invalid|validation)|FATAL CONFIG FILE ERROR
            invalid config|bad config|malformed config
            error (?:in|parsing|reading|loading|while (?:reading|parsing|loading)|unmarshal\w+|initiali[sz]ing)(?: the| your)? (?:\w+ )?config
            (?:fail\w*|could ?n[o']t|cannot|can't|unable) (?:to )?(?:(?:re)?load|parse|read|decode|unmarshal|process|apply|validate|
            +initialize)(?: the| your| new)? (?:\w+ )?(?:config|settings|\S+\.(?:ya?ml|json|toml|ini|conf|properties)\b)
            yaml: (?:line|unmarshal|did not|found|invalid|control|map)|yaml\.(?:scanner|parser|constructor|composer|reader)\.|ScannerError
            ParserError|YAMLException|YAMLSemanticError|mapping values are not allowed|TomlDecodeError|TOMLDecodeError|toml: \w
            MissingSectionHeader|ConfigParse|ConfigException|ConfigError\b|ConfigurationError|ConfigurationException|ImproperlyConfigured
            InvalidConfig\w*|BadConfig\w*|failed to bind properties|validation errors? for \w*(?:settings|config)|contains errors
            syntax error (?:in file|on line|in config)
            unknown (?:command.line )?(?:variable|option|keyword|flag|setting|parameter|configuration|config key|shorthand)
            flag provided but not defined|unrecogni[sz]ed (?:arguments?|options?|settings?|configuration|flags?)
            invalid value for \S+|invalid value [\"']?[^\n]{0,80} for (?:flag|option|parameter|argument|env\w*|config|setting)
            invalid argument [\"'][^\n]{0,80} for|perhaps misspelled|during parsing
            invalid (?:log ?level|port|dsn|database url|connection string|connection uri|duration|boolean|listen address)\b|ERR_INVALID_URL
            invalid url|first path segment in URL|missing protocol scheme|unsupported (?:protocol scheme|config\w*)
            could not parse (?:rfc1738|sqlalchemy) url
            (?:unsupported|invalid|unknown|bad|illegal) value:? [^\n]{1,80} for (?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b
            (?-i:\b[A-Z][A-Z0-9]*_[A-Z0-9_]+):? (?:has an? |is an? )?(?:unsupported|invalid|unknown) value\b
            is not a valid (?:url|port|uri|integer|number|boolean|duration|log level|value for)|malformed (?:url|uri|dsn)
            reload (?:failed|error)|error reloading|No 'script_location' key|parsing \[/[^\]]+:\d+\]|bad (?:url|dsn|directive|option)\b
            strconv\.\w+: parsing[^\n]{0,80}invalid|envconfig\.Process: |json: cannot unmarshal
            (?:invalid|malformed) (?:json|yaml|toml|xml|ini)\b[^\n]{0,60}(?:config|settings|/\S+)
            (?:config|settings|/\S+\.(?:json|ya?ml|toml))[^\n]{0,80}(?:invalid character|invalid json|invalid yaml|unexpected token|
            +malformed|not well-formed|syntax error)
        """,
        unless=r"\brequest (?:body|param\w*)|client request|query (?:string|param\w*)|request parameter",
    ),
    _row(
        _FILE,
        "cannot find {path}",
        "no such file|file|find|open|module|directory|folder|not found|does not exist|missing|cannot|can't|could not|unable",
        r"""
            could not find (?:or load main class|/)|cannot find module '[./]
            (?:file|directory|folder)\b[^\n]{0,160}(?:does not exist|doesn't exist|(?:was |is )?not found|
            +(?:cannot|can't|could not) be found|is missing|not exist)
            (?:missing|cannot find|can't find|could not find|couldn't find|unable to find|cannot open|could not open|failed to open|
            +required) (?:the )?(?:\w+ )?(?:file|directory)\b
            file not found|no such file|(?:cannot|can't|could not|unable to) (?:open|find|load|read|stat) [\"']?(?:/|\./)\S+
            (?:/[\w.-]+){2,}[\"']?:? (?:does not exist|not found|is missing|: not found)
        """,
        unless=_STARTS,
    ),
    _row(
        _UNREACHABLE,
        "cannot reach {target} (timed out)",
        "time|deadline|os error 110",
        r"""
            (?:dial|connect|connection|connecting|upstream|lookup|https?://|\brpc\b|reach|socket|server|broker|database|host|
            +:\d{2,5}\b)[^\n]{0,200}(?:timed out|timeout\b(?! must| should| is| value| setting)|context deadline exceeded|
            +DeadlineExceeded)
            i/o timeout|(?:connection|connect|operation|request|download|read) timed out|ETIMEDOUT|ConnectTimeout|ConnectionTimeout|os error 110\b
            timed? ?out[^\n]{0,60}(?:connect|waiting for|reach|dial)|context deadline exceeded[^\n]{0,60}(?:connect|dial|https?://)
        """,
    ),
    _row(
        _UNREACHABLE,
        "cannot reach {target} (no route)",
        "route|unreach|host is down",
        r"""
            no route to host|network is unreachable|host is (?:unreachable|down)|EHOSTUNREACH|ENETUNREACH|network unreachable
            host unreachable
        """,
    ),
    _row(
        _UNREACHABLE,
        "cannot reach {target}",
        "connect|reach|communications|serverselection|mongonetwork|broker|hy000|nonode|attempts failed|unavailable|upstream|amqp|"
        "available|down|responding|ping|contact|dial|establish|waiting|access|502|503|504",
        r"""
            CommunicationsException|communications link failure|can't connect to (?:\w+ )*server|could ?n[o']t connect
            (?:unable|failed|failing) to (?:re)?connect|cannot connect|can't connect|failed to (?:reach|dial|establish|contact|ping)
            unable to (?:reach|contact|establish|ping|access) [^\n]{0,60}(?::\d|server|host|service|database|broker|api|https?://|
            +connection)
            cannot reach|could not reach|can't reach|ServerSelection\w*|MongoNetworkError|no connection could be made|NoBrokersAvailable
            broker may not be available|no brokers|out of available brokers|Broker transport failure|all brokers? (?:are )?down
            SQLSTATE\[HY000\] \[2002\]|failed to establish a (?:new )?connection|NoNodeAvailable|all (?:connection )?attempts failed
            code = Unavailable|upstream connect error|no (?:live|healthy) upstream|connection to \S+ (?:\([^)]*\) )?(?:failed|lost|error)
            AMQPConnectionError|ConnectionError:|connection (?:error|failed|failure|attempt failed|could not be)
            server (?:closed the connection|is not (?:available|reachable|responding))
            (?:database|redis|postgres\w*|mysql|mongo\w*|kafka|rabbitmq|broker|service|api|backend|upstream|dependency|
            +server) (?:(?:at )?\S+ )?(?:is )?(?:not (?:available|reachable|responding|accessible)|unreachable|unavailable|down)\b
            \b(?:is|are) (?:currently )?(?:unreachable|not reachable|not responding)\b|:\d{2,5}\S* (?:is )?(?:unavailable|not available|down)\b
            error connecting to|waiting for \S+ .{0,40}(?:failed|gave up)|\b50[234]\b [^\n]{0,40}(?:https?://|unavailable|gateway)
        """,
    ),
)
