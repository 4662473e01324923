# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Applications whose log names the cause, in the formats of several languages, and chains of workloads that need each other."""

from __future__ import annotations

from tests.corpus.build import SERVE, SLEEP, container, deployment, job, log_and_exit, log_and_stay, made, mounts, run, service, statefulset
from tests.corpus.cases.images import EMPTY
from tests.corpus.model import ANY, Case, Sign, Step, Want, failing
from tests.corpus.signs import after, both, crashed, ended, event, ready, running, unready, waiting

PYTHON_ENV = """INFO starting shop 2.1
Traceback (most recent call last):
  File "/app/main.py", line 12, in <module>
    from app import settings
  File "/app/settings.py", line 7, in <module>
    DATABASE_URL = os.environ["DATABASE_URL"]
  File "/usr/local/lib/python3.12/os.py", line 714, in __getitem__
    raise KeyError(key) from None
KeyError: 'DATABASE_URL'"""
JAVA_REFUSED = """2026-11-21T10:00:00.123Z ERROR 1 --- [main] o.s.boot.SpringApplication : Application run failed
org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'entityManagerFactory'
\tat org.springframework.beans.factory.support.AbstractAutowireCapableBeanFactory.initializeBean(AbstractAutowireCapableBeanFactory.java:1770)
\tat org.springframework.boot.SpringApplication.run(SpringApplication.java:306)
Caused by: org.postgresql.util.PSQLException: Connection to orders-db:5432 refused. Check that the hostname and port are correct.
\tat org.postgresql.core.v3.ConnectionFactoryImpl.openConnectionImpl(ConnectionFactoryImpl.java:342)
\t... 21 more
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 33 more"""
GO_PANIC = """2026/11/21 10:00:00 starting
panic: dial tcp: lookup postgres-primary on 10.96.0.10:53: no such host

goroutine 1 [running]:
main.main()
\t/src/cmd/server/main.go:31 +0x1d5
exit status 2"""
NODE_REFUSED = """node:internal/process/promises:394
      triggerUncaughtException(err, true /* fromPromise */);
      ^

Error: connect ECONNREFUSED 10.0.0.9:6379
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1610:16) {
  errno: -111,
  code: 'ECONNREFUSED',
  syscall: 'connect',
  address: '10.0.0.9',
  port: 6379
}

Node.js v20.11.1"""
NODE_MODULE = """node:internal/modules/cjs/loader:1147
  throw err;
  ^

Error: Cannot find module '/app/dist/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1144:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}"""
DOTNET_FILE = """Unhandled exception. System.IO.FileNotFoundException: Could not find file '/app/appsettings.Production.json'.
   at Microsoft.Extensions.Configuration.FileConfigurationProvider.HandleException(ExceptionDispatchInfo info)
   at Program.<Main>$(String[] args) in /src/Program.cs:line 9"""
JSON_ENV = """{"level":"info","ts":"2026-11-21T10:00:00Z","msg":"starting","version":"4.0.1"}
{"level":"fatal","ts":"2026-11-21T10:00:01Z","msg":"required environment variable STRIPE_API_URL is not set","caller":"config/env.go:44"}"""
RUBY_LOGIN = """connection.rb:711:in `connect': connection to server at "10.96.14.2", port 5432 failed: FATAL:  \
password authentication failed for user "shop" (PG::ConnectionBad)
\tfrom /app/config/boot.rb:4:in `<main>'"""
FORBIDDEN = (
    'E1121 10:00:00.000000       1 reflector.go:166] "Unhandled Error" err="k8s.io/client-go/informers/factory.go:160: Failed to watch'
    ' *v1.ConfigMap: failed to list *v1.ConfigMap: configmaps is forbidden: User \\"system:serviceaccount:NAMESPACE:default\\" cannot list'
    ' resource \\"configmaps\\" in API group \\"\\" in the namespace \\"NAMESPACE\\""'
)
X509 = (
    'level=error msg="cannot reach vault" error="Get \\"https://vault:8200/v1/sys/health\\": tls: failed to verify certificate:'
    ' x509: certificate signed by unknown authority"'
)
EXPIRED = (
    "requests.exceptions.SSLError: HTTPSConnectionPool(host='billing.example.com', port=443): Max retries exceeded with url: / (Caused by"
    " SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1000)')))"
)
RUST_PORT = """thread 'main' panicked at src/main.rs:14:10:
called `Result::unwrap()` on an `Err` value: Os { code: 98, kind: AddrInUse, message: "Address already in use" }: 0.0.0.0:3000"""
TIMEOUT = '2026-11-21 10:00:00 ERROR psycopg2.OperationalError: connection to server at "db" (10.96.7.7), port 5432 failed: Connection timed out'


def crash(name: str, code: str, text: str, *says: str, status: int = 1, remedy: str = "", sign: Sign = crashed()) -> Case:
    return failing(name, code, "Deployment/web", *says, objects=(deployment(script=log_and_exit(text, status)),), sign=sign, remedy=remedy)


deny_egress = made("networking.k8s.io/v1", "NetworkPolicy", "default-deny", {"podSelector": {}, "policyTypes": ["Egress"], "egress": []})


def needs(host: str, port: int) -> str:
    """Serves 8080, and ends when the other one cannot be reached. In the test image only nslookup can resolve names."""
    return (
        f"name={host}.$(awk '/^search/ {{print $2}}' /etc/resolv.conf);"
        " address=$(nslookup $name | awk '/^Address/ && !/:53$/ {print $2}' | head -1);"
        f' test -n "$address" || {{ echo "fatal: dial tcp: lookup {host} on 10.96.0.10:53: no such host" >&2; exit 1; }};'
        f' nc -w 2 $address {port} < /dev/null || {{ echo "fatal: cannot reach http://{host}:{port}/" >&2; exit 1; }};'
        f" {SERVE}"
    )


LOGS = (
    crash("python-environment", "EnvironmentMissing", PYTHON_ENV, "DATABASE_URL"),
    crash("java-connection-refused", "DependencyUnreachable", JAVA_REFUSED, "orders-db:5432|orders-db"),
    crash("go-no-such-host", "NameNotResolved", GO_PANIC, "postgres-primary", status=2),
    crash("node-connection-refused", "DependencyUnreachable", NODE_REFUSED, "10.0.0.9:6379"),
    crash("node-module-missing", "FileMissing|AppCrash", NODE_MODULE, "/app/dist/server.js"),
    crash("dotnet-file-missing", "FileMissing|ConfigurationInvalid", DOTNET_FILE, "appsettings.Production.json", status=134),
    crash("json-environment", "EnvironmentMissing", JSON_ENV, "STRIPE_API_URL"),
    crash("ruby-login-refused", "DependencyRefusesLogin", RUBY_LOGIN, "shop"),
    crash("tls-unknown-authority", "CertificateInvalid", X509, "vault:8200"),
    crash("tls-expired", "CertificateInvalid", EXPIRED, "billing.example.com", "expired"),
    crash("rust-port-in-use", "PortInUse", RUST_PORT, "3000", status=101),
    crash("config-file-missing", "FileMissing", "Error: open /etc/app/config.yaml: no such file or directory", "/etc/app/config.yaml"),
    crash(
        "config-not-yaml",
        "ConfigurationInvalid",
        "failed to load /etc/app/config.yaml: yaml: line 12: mapping values are not allowed in this context",
        "line 12",
    ),
    crash(
        "unknown-flag",
        "AppCrash|ConfigurationInvalid",
        "error: unknown flag: --lisen-addr\nUsage: server [flags]\n  --listen-addr string",
        "--lisen-addr",
        status=2,
    ),
    failing(
        "rbac-forbidden-crash",
        "RBACForbidden",
        "Deployment/web",
        "configmaps",
        "list",
        objects=(deployment(script=log_and_exit(FORBIDDEN.replace("NAMESPACE", "corpus-rbac-forbidden-crash"))),),
        sign=crashed(),
    ),
    failing(
        "rbac-forbidden-running",
        "RBACForbidden",
        "Deployment/web",
        "configmaps",
        objects=(
            deployment(
                script=log_and_stay(FORBIDDEN.replace("NAMESPACE", "corpus-rbac-forbidden-running")), readinessProbe=run("test", "-e", "/tmp/synced")
            ),
        ),
        sign=unready,
    ),
    failing(
        "unready-for-lack-of-its-database",
        "DependencyUnreachable|ReadinessProbeFailing",
        "Deployment/web",
        "mysql:3306",
        objects=(
            deployment(
                script=log_and_stay("ERROR could not connect to mysql:3306: connection refused, retrying in 10s"),
                readinessProbe=run("test", "-e", "/tmp/ok"),
            ),
        ),
        sign=unready,
    ),
    failing(
        "network-policy",
        "NetworkPolicyBlocks",
        "Deployment/web|NetworkPolicy/default-deny",
        "default-deny",
        "5432",
        objects=(
            deny_egress,
            deployment("db", SERVE.replace("8080", "5432")),
            service("db", 5432),
            deployment(script=log_and_exit(TIMEOUT)),
        ),
        sign=both(crashed(), ready()),
    ),
)

REAL = (
    failing(
        "port-taken-by-sidecar",
        "PortInUse",
        "Deployment/web",
        "8080|metrics",
        objects=(deployment(script=SERVE, ports=[{"containerPort": 8080}], beside=(container("metrics", f"sleep 2; {SERVE}"),)),),
        sign=crashed(),
    ),
    failing(
        "file-permission",
        "PermissionDenied",
        "Deployment/web",
        "/data/state",
        objects=(
            deployment(
                script="echo 1 > /data/state || exit 1; sleep 1000",
                securityContext={"runAsUser": 65534},
                **mounts(hostPath={"path": "/usr", "type": "Directory"}),
            ),
        ),
        sign=crashed(),
    ),
    failing(
        "privileged-port",
        "PermissionDenied",
        "Deployment/web",
        "80",
        objects=(
            deployment(
                command=["httpd", "-f", "-p", "80"],
                ports=[{"containerPort": 80}],
                securityContext={"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
            ),
        ),
        sign=crashed(),
    ),
    failing(
        "read-only-root",
        "ReadOnlyFileSystem",
        "Deployment/web",
        "/var/run/web.pid",
        objects=(deployment(script="echo 1 > /var/run/web.pid || exit 1; exec sleep 1000", securityContext={"readOnlyRootFilesystem": True}),),
        sign=crashed(),
    ),
    failing(
        "volume-full",
        "NoSpaceLeft",
        "Deployment/web",
        "No space left on device|full",
        objects=(
            deployment(
                script="dd if=/dev/zero of=/data/wal bs=64k count=64 || exit 1; exec sleep 1000",
                **mounts(emptyDir={"medium": "Memory", "sizeLimit": "1Mi"}),
            ),
        ),
        sign=crashed(),
    ),
    failing(
        "host-name-typo",
        "NameNotResolved",
        "Deployment/web",
        "apii",
        objects=(service("api", 8080), deployment("api", SERVE), deployment(script=needs("apii", 8080))),
        sign=both(crashed(), ready()),
    ),
    failing(
        "service-without-pods",
        "DependencyUnreachable|ServiceWithoutBackend",
        "Deployment/web|Service/api",
        "api",
        objects=(service("api", 8080), deployment("api", SERVE, replicas=0), deployment(script=needs("api", 8080))),
        sign=crashed(),
        about="the workload behind the Service is scaled to zero, and another one needs it",
    ),
    Case(
        "chain",
        (
            Step(
                (
                    deployment("db", image=f"{EMPTY}/shop/db:15"),
                    service("db", 5432),
                    deployment("api", needs("db", 5432), readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1}),
                    service("api", 8080),
                    deployment("web", needs("api", 8080)),
                    service("web", 80, 8080),
                ),
                until=both(waiting("ErrImagePull", "ImagePullBackOff"), crashed(2)),
            ),
        ),
        (Want("ImageNotFound", "Deployment/db", (f"{EMPTY}/shop/db:15",), affects=("Deployment/api", "Deployment/web")),),
        about="web needs api, api needs db, and db's image is wrong",
    ),
    Case(
        "chain-by-selector",
        (
            Step(
                (
                    deployment("db", SERVE.replace("8080", "5432")),
                    service("db", 5432, selector={"app": "database"}),
                    deployment("api", needs("db", 5432)),
                ),
                until=both(ready(), crashed()),
            ),
        ),
        (Want("SelectorMismatch|ServiceWithoutBackend", "Service/db", ("app=database|app: database|database",), ANY, ("Deployment/api",)),),
        about="api crashes since the Service of db selects nothing",
    ),
    Case(
        "dependency-came-back",
        (
            Step(
                (service("db", 5432), deployment("db", SERVE.replace("8080", "5432"), replicas=0), deployment("web", needs("db", 5432))),
                until=crashed(3),
            ),
            Step((deployment("db", SERVE.replace("8080", "5432")),), until=ready()),
        ),
        (Want("DependencyUnreachable|AppCrash", "Deployment/web", ("db",), "restart"),),
        about="the crash loop's back-off outlasts the cause",
    ),
    failing(
        "init-waits-for-a-service",
        "InitContainerStuck|DependencyUnreachable|NameNotResolved",
        "Deployment/web",
        "queue",
        objects=(
            deployment(
                pod={
                    "initContainers": [
                        container("wait", "until nslookup queue.shop.svc.cluster.local; do echo waiting for queue:5672; sleep 2; done")
                    ]
                }
            ),
        ),
        sign=both(running, after(105)),
    ),
    failing(
        "init-hangs",
        "InitContainerStuck",
        "Deployment/web",
        "download",
        objects=(deployment(pod={"initContainers": [container("download", SLEEP)]}),),
        sign=both(running, after(105)),
    ),
    failing(
        "stateful-name-missing",
        "ServiceNameMissing|NameNotResolved",
        "StatefulSet/db",
        "db",
        objects=(
            statefulset(
                script="nslookup db-0.db.$(awk '/^search/ {print $2}' /etc/resolv.conf) ||"
                " { echo 'fatal: cannot resolve db-0.db: no such host' >&2; exit 1; }; exec sleep 1000"
            ),
        ),
        sign=crashed(),
    ),
    failing(
        "job-dependency",
        "DependencyUnreachable|NameNotResolved",
        "Job/task",
        "warehouse",
        objects=(job(script=needs("warehouse", 9000)),),
        sign=ended(status=1),
    ),
    failing(
        "probe-of-nothing",
        "LivenessProbeFailing",
        "Deployment/web",
        "8080",
        objects=(deployment(livenessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}),),
        sign=both(crashed(), event("Unhealthy")),
        remedy=ANY,
    ),
)
CASES = LOGS + REAL
