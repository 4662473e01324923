# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Logs of many languages and products, and the cause that each of them names."""

from __future__ import annotations

import random
import time

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.causes import first_cause, recurring

# what, code, subjects, log
ENDS: list[tuple[str, str, dict[str, str], str]] = [
    # another service cannot be reached
    (
        "go",
        "DependencyUnreachable",
        {"host": "10.96.0.5", "port": "5432"},
        (
            "2026/11/21 12:00:01 starting\n2026/11/21 12:00:02 failed to ping database: dial tcp 10.96.0.5:5432: connect: connection refused\nexit"
            " status 1\n"
        ),
    ),
    (
        "go panic",
        "DependencyUnreachable",
        {"host": "redis", "port": "6379"},
        "panic: redis: dial tcp redis:6379: i/o timeout\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:22 +0x1d\nexit status 2\n",
    ),
    (
        "zap",
        "DependencyUnreachable",
        {"host": "kafka-0.kafka", "port": "9092"},
        (
            '{"level":"info","ts":1.7,"msg":"boot"}\n{"level":"fatal","ts":1.7,"caller":"app/main.go:3","msg":"cannot connect to'
            ' broker","error":"dial tcp kafka-0.kafka:9092: connect: connection'
            ' refused","stacktrace":"main.main\\n\\t/app/main.go:3\\nruntime.main\\n\\t/go/src/runtime/proc.go:2"}\n'
        ),
    ),
    (
        "zap console",
        "DependencyUnreachable",
        {"host": "orders", "port": "8080"},
        (
            '2026-11-21T12:00:00.000Z\tERROR\tclient/http.go:40\trequest failed\t{"url": "http://orders:8080/v1", "error": "connect: connection'
            ' refused"}\n'
        ),
    ),
    (
        "host on the line before",
        "DependencyRefusesLogin",
        {"host": "cache", "port": "6379"},
        "Connecting to redis://cache:6379/0\n(error) WRONGPASS x\n",
    ),
    (
        "name before an address",
        "DependencyUnreachable",
        {"host": "cache"},
        "Error: Redis at cache:6380 failed - connect ECONNREFUSED 10.96.1.9:6380\n",
    ),
    (
        "502 of a service",
        "DependencyUnreachable",
        {"host": "auth.id.svc", "port": "8443"},
        "FATAL upstream auth.id.svc:8443 returned 502 Bad Gateway\n",
    ),
    (
        "vault",
        "DependencyRefusesLogin",
        {"host": "vault.sec"},
        "Error: failed to login: 403 permission denied for role web at http://vault.sec:8200\n",
    ),
    ("role that may not", "DependencyRefusesLogin", {"user": "billing"}, 'ERROR: role "billing" is not permitted to log in\n'),
    ("flag of go", "ConfigurationInvalid", {}, "flag provided but not defined: -log-levl\nUsage of /manager:\n"),
    ("argument of clap", "ConfigurationInvalid", {}, "error: unexpected argument '--lisen' found\n"),
    ("option of busybox", "ConfigurationInvalid", {}, "httpd: unrecognized option: z\nBusyBox v1.36.1\nUsage: httpd\n"),
    ("line ends of Windows", "ConfigurationInvalid", {}, "/s/run.sh: set: line 1: illegal option -\r\n"),
    (
        "empty JSON",
        "ConfigurationInvalid",
        {"path": "/c/s.json"},
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0) in /c/s.json\n",
    ),
    (
        "cannot load",
        "ConfigurationInvalid",
        {"path": "/etc/app/app.yaml"},
        "cat: read error: Is a directory\nFATAL: cannot load config /etc/app/app.yaml\n",
    ),
    (
        "value of a variable",
        "ConfigurationInvalid",
        {"variable": "WORKERS"},
        'Error: Invalid value "abc" for environment variable WORKERS: not a number\n',
    ),
    ("bare YAML error", "ConfigurationInvalid", {"line": "7"}, "yaml: line 7: mapping values are not allowed in this context\n"),
    ("please export", "EnvironmentMissing", {"variable": "S3_BUCKET"}, "! please export S3_BUCKET before running this container\n"),
    ("must not be None", "EnvironmentMissing", {"variable": "TENANT_ID"}, "ValueError: TENANT_ID must not be None\n"),
    (
        "shared library",
        "FileMissing",
        {"path": "libssl.so.1.1"},
        "/app/server: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory\n",
    ),
    ("cannot be found", "FileMissing", {"path": "/c/a.yaml"}, "Config data resource file [/c/a.yaml] cannot be found\n"),
    ("key pair", "CertificateInvalid", {}, "tls: private key does not match public key (/tls/tls.crt, /tls/tls.key)\n"),
    (
        "logrus",
        "DependencyUnreachable",
        {"host": "mq", "port": "5672"},
        'time="2026-11-21T12:00:00Z" level=fatal msg="dial tcp mq:5672: connect: no route to host"\n',
    ),
    (
        "slog",
        "DependencyUnreachable",
        {"host": "db", "port": "5432"},
        (
            'time=2026-11-21T12:00:00Z level=INFO msg=start\ntime=2026-11-21T12:00:01Z level=ERROR msg="cannot open store" addr=db:5432'
            ' err="connection refused"\n'
        ),
    ),
    (
        "klog",
        "DependencyUnreachable",
        {"host": "10.96.0.1", "port": "443"},
        (
            'I1121 12:00:00.000001       1 main.go:1] Starting\nF1121 12:00:30.000001       1 main.go:9] Get "https://10.96.0.1:443/version": dial'
            " tcp 10.96.0.1:443: i/o timeout\n"
        ),
    ),
    (
        "grpc",
        "DependencyUnreachable",
        {"host": "10.1.2.3", "port": "50051"},
        (
            'FATAL rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.1.2.3:50051: connect:'
            ' connection refused"\n'
        ),
    ),
    (
        "psycopg2",
        "DependencyUnreachable",
        {"host": "db", "port": "5432"},
        (
            'Traceback (most recent call last):\n  File "/app/main.py", line 3, in <module>\n    psycopg2.connect(dsn)\npsycopg2.OperationalError:'
            ' connection to server at "db" (10.96.1.2), port 5432 failed: Connection refused\n\tIs the server running on that host and accepting'
            " TCP/IP connections?\n"
        ),
    ),
    (
        "redis-py in a chain",
        "DependencyUnreachable",
        {"host": "cache", "port": "6379"},
        (
            'Traceback (most recent call last):\n  File "redis/connection.py", line 1, in connect\nConnectionRefusedError: [Errno 111] Connection'
            ' refused\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "app.py",'
            " line 2, in <module>\nredis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.\n"
        ),
    ),
    (
        "requests",
        "DependencyUnreachable",
        {"host": "api", "port": "8000"},
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nConnectionRefusedError: [Errno 111] Connection refused\n\nThe above'
            ' exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File "b.py", line'
            " 1\nrequests.exceptions.ConnectionError: HTTPConnectionPool(host='api', port=8000): Max retries exceeded with url: /x (Caused by"
            " NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))\n"
        ),
    ),
    (
        "node",
        "DependencyUnreachable",
        {"host": "10.96.7.7", "port": "5432"},
        (
            "> app@1.0.0 start\n> node index.js\n\nstarting\nnode:internal/process/promises:288\n            triggerUncaughtException(err, true /*"
            " fromPromise */);\n            ^\n\nError: connect ECONNREFUSED 10.96.7.7:5432\n    at TCPConnectWrap.afterConnect [as oncomplete]"
            " (node:net:1555:16) {\n  errno: -111,\n  code: 'ECONNREFUSED',\n  syscall: 'connect',\n  address: '10.96.7.7',\n  port:"
            " 5432\n}\n\nNode.js v20.1.0\nnpm ERR! code ELIFECYCLE\nnpm ERR! errno 1\n"
        ),
    ),
    (
        "node cause",
        "DependencyUnreachable",
        {"host": "10.0.0.8", "port": "80"},
        (
            "TypeError: fetch failed\n    at node:internal/deps/undici/undici:12345:11\n    at async main (/app/x.js:3:3) {\n  [cause]: Error:"
            " connect ECONNREFUSED 10.0.0.8:80\n      at TCPConnectWrap.afterConnect (node:net:1) {\n    errno: -111\n  }\n}\n"
        ),
    ),
    (
        "mongoose",
        "DependencyUnreachable",
        {"host": "mongo", "port": "27017"},
        (
            "MongooseServerSelectionError: connect ETIMEDOUT mongo:27017\n    at _handleConnectionErrors"
            " (/app/node_modules/mongoose/lib/connection.js:900:11)\n"
        ),
    ),
    (
        "pino",
        "DependencyUnreachable",
        {"host": "172.20.3.4", "port": "6379"},
        (
            '{"level":30,"time":1,"pid":1,"msg":"boot"}\n{"level":60,"time":2,"pid":1,"err":{"type":"Error","message":"connect ECONNREFUSED'
            ' 172.20.3.4:6379","stack":"Error: connect ECONNREFUSED 172.20.3.4:6379\\n    at TCP"},"msg":"redis is down"}\n'
        ),
    ),
    (
        "java",
        "DependencyUnreachable",
        {"host": "db", "port": "5432"},
        (
            "2026-11-21 12:00:00.000  INFO 1 --- [           main] c.s.App : Starting\n2026-11-21 12:00:09.000 ERROR 1 --- [           main]"
            " o.s.boot.SpringApplication : Application run failed\n\norg.springframework.beans.factory.BeanCreationException: Error creating bean"
            " with name 'entityManagerFactory'\n\tat a.b.C(D.java:1)\n\tat a.b.E(F.java:1)\nCaused by: org.postgresql.util.PSQLException: Connection"
            " to db:5432 refused. Check that the hostname and port are correct.\n\tat org.x(Y.java:2)\n\t... 15 more\nCaused by:"
            " java.net.ConnectException: Connection refused\n\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)\n\t... 20 more\n"
        ),
    ),
    (
        "mysql connector",
        "DependencyUnreachable",
        {},
        (
            'Exception in thread "main" com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure\n\nThe last packet sent'
            " successfully to the server was 0 milliseconds ago.\n\tat com.mysql.cj.X(Y.java:1)\nCaused by: java.net.ConnectException: Connection"
            " refused\n\tat x.y(Z.java:1)\n"
        ),
    ),
    (
        ".net",
        "DependencyUnreachable",
        {"host": "sql", "port": "1433"},
        (
            "Unhandled exception. System.Net.Http.HttpRequestException: Connection refused (sql:1433)\n ---> System.Net.Sockets.SocketException"
            " (111): Connection refused\n   at System.Net.Sockets.Socket.AwaitableSocketAsyncEventArgs.ThrowException(SocketError error)\n   --- End"
            " of inner exception stack trace ---\n   at Program.Main() in /src/Program.cs:line 3\n"
        ),
    ),
    (
        "ruby",
        "DependencyUnreachable",
        {"host": "pg", "port": "5432"},
        (
            '/usr/local/bundle/gems/pg-1.5/lib/pg/connection.rb:709:in `async_connect_or_reset\': connection to server at "pg" (10.1.1.1), port 5432'
            " failed: Connection refused (PG::ConnectionBad)\n\tfrom /app/a.rb:2:in `new'\n\tfrom /app/a.rb:9:in `<main>'\n"
        ),
    ),
    (
        "php",
        "DependencyUnreachable",
        {},
        (
            "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /var/www/db.php:3\nStack trace:\n#0"
            " /var/www/db.php(3): PDO->__construct()\n#1 {main}\n  thrown in /var/www/db.php on line 3\n"
        ),
    ),
    (
        "rust anyhow",
        "DependencyUnreachable",
        {"host": "nats", "port": "4222"},
        "Error: failed to start\n\nCaused by:\n    0: cannot connect to nats:4222\n    1: Connection refused (os error 111)\n",
    ),
    (
        "rust panic",
        "DependencyUnreachable",
        {"host": "db", "port": "5432"},
        (
            "thread 'main' panicked at src/main.rs:7:10:\ncalled `Result::unwrap()` on an `Err` value: error connecting to db:5432: Connection"
            " refused (os error 111)\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
        ),
    ),
    (
        "busybox wget",
        "DependencyUnreachable",
        {"host": "api", "port": "8080"},
        "Connecting to api:8080 (10.96.3.4:8080)\nwget: can't connect to remote host (10.96.3.4): Connection refused\n",
    ),
    (
        "curl",
        "DependencyUnreachable",
        {"host": "api", "port": "8080"},
        "curl: (7) Failed to connect to api port 8080 after 2 ms: Couldn't connect to server\n",
    ),
    ("shell", "DependencyUnreachable", {"host": "db", "port": "5432"}, "waiting for db\nERROR: database db:5432 is not reachable, giving up\n"),
    (
        "nginx",
        "NameNotResolved",
        {"host": "backend"},
        (
            '2026/11/21 12:00:00 [emerg] 1#1: host not found in upstream "backend" in /etc/nginx/conf.d/default.conf:3\nnginx: [emerg] host not found'
            ' in upstream "backend" in /etc/nginx/conf.d/default.conf:3\n'
        ),
    ),
    (
        "kafka client",
        "DependencyUnreachable",
        {"host": "kafka", "port": "9092"},
        "[2026-11-21 12:00:00,000] WARN [Producer clientId=p-1] Connection to node -1 (kafka/10.1.1.1:9092) could not be established. Broker may not"
        " be available. (org.apache.kafka.clients.NetworkClient)\n"
        * 4
        + "[2026-11-21 12:01:00,000] ERROR giving up (app)\n",
    ),
    # names
    ("go name", "NameNotResolved", {"host": "db"}, "main: dial tcp: lookup db on 10.96.0.10:53: no such host\n"),
    (
        "go name fqdn",
        "NameNotResolved",
        {"host": "db.prod.svc.cluster.local"},
        'level=error err="dial tcp: lookup db.prod.svc.cluster.local on 10.96.0.10:53: no such host"\n',
    ),
    (
        "node name",
        "NameNotResolved",
        {"host": "postgres"},
        (
            "Error: getaddrinfo ENOTFOUND postgres\n    at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:107:26) {\n  errno: -3008,\n "
            " hostname: 'postgres'\n}\n"
        ),
    ),
    (
        "java name",
        "NameNotResolved",
        {"host": "orders-db"},
        (
            'Exception in thread "main" java.lang.IllegalStateException: no pool\n\tat a.B.c(B.java:1)\nCaused by: java.net.UnknownHostException:'
            " orders-db: Name or service not known\n\tat java.base/x(Y.java)\n\t... 3 more\n"
        ),
    ),
    (
        "python name",
        "NameNotResolved",
        {"host": "api", "port": "80"},
        (
            'Traceback (most recent call last):\n  File "x", line 1\nsocket.gaierror: [Errno -2] Name or service not known\n\nDuring handling of the'
            ' above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "y", line'
            " 1\nrequests.exceptions.ConnectionError: HTTPConnectionPool(host='api', port=80): Max retries exceeded with url: /\n"
        ),
    ),
    (
        "libpq name",
        "NameNotResolved",
        {"host": "pgsql"},
        'psql: error: could not translate host name "pgsql" to address: Name or service not known\n',
    ),
    ("busybox name", "NameNotResolved", {"host": "api", "port": "8080"}, "wget: bad address 'api:8080'\n"),
    (
        "busybox nslookup",
        "NameNotResolved",
        {"host": "db"},
        "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n** server can't find db: NXDOMAIN\n\ninit: giving up\n",
    ),
    (
        ".net name",
        "NameNotResolved",
        {"host": "rabbit", "port": "5672"},
        (
            "Unhandled exception. System.Net.Http.HttpRequestException: Name or service not known (rabbit:5672)\n --->"
            " System.Net.Sockets.SocketException (0xFFFDFFFF): Name or service not known\n   at X.Y()\n"
        ),
    ),
    ("mysql cli name", "NameNotResolved", {"host": "mysql"}, "ERROR 2005 (HY000): Unknown MySQL server host 'mysql' (-2)\n"),
    (
        "php name",
        "NameNotResolved",
        {"host": "db"},
        (
            "PHP Warning:  mysqli_connect(): php_network_getaddresses: getaddrinfo for db failed: Name or service not known in /a.php on line 2\nPHP"
            " Fatal error:  Uncaught mysqli_sql_exception: php_network_getaddresses: getaddrinfo for db failed: Name or service not known in"
            " /a.php:2\n"
        ),
    ),
    # logins
    (
        "postgres client",
        "DependencyRefusesLogin",
        {"host": "db", "port": "5432", "user": "app"},
        (
            'psycopg2.OperationalError: connection to server at "db" (10.1.1.1), port 5432 failed: FATAL:  password authentication failed for user'
            ' "app"\n'
        ),
    ),
    ("go pq", "DependencyRefusesLogin", {"user": "shop"}, 'panic: pq: password authentication failed for user "shop"\n\ngoroutine 1 [running]:\n'),
    ("mysql", "DependencyRefusesLogin", {"user": "web"}, "ERROR 1045 (28000): Access denied for user 'web'@'10.244.0.7' (using password: YES)\n"),
    (
        "redis auth",
        "DependencyRefusesLogin",
        {},
        "redis.exceptions.AuthenticationError: WRONGPASS invalid username-password pair or user is disabled.\n",
    ),
    (
        "redis noauth",
        "DependencyRefusesLogin",
        {},
        "ReplyError: NOAUTH Authentication required.\n    at parseError (/app/node_modules/redis-parser/lib/parser.js:179:12)\n",
    ),
    (
        "mongo",
        "DependencyRefusesLogin",
        {},
        "MongoServerError: Authentication failed.\n    at Connection.onMessage (/app/node_modules/mongodb/lib/cmap/connection.js:202:26)\n",
    ),
    (
        "rabbit",
        "DependencyRefusesLogin",
        {},
        "com.rabbitmq.client.AuthenticationFailureException: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.\n",
    ),
    (
        "sql server",
        "DependencyRefusesLogin",
        {"user": "sa"},
        "Unhandled exception. Microsoft.Data.SqlClient.SqlException (0x80131904): Login failed for user 'sa'.\n   at X.Y()\n",
    ),
    ("hba", "DependencyRefusesLogin", {"user": "u"}, 'error: no pg_hba.conf entry for host "10.1.1.9", user "u", database "d", no encryption\n'),
    # ports
    ("go port", "PortInUse", {"port": "8080"}, "2026/11/21 listen tcp :8080: bind: address already in use\n"),
    (
        "node port",
        "PortInUse",
        {"port": "3000"},
        (
            "node:events:491\n      throw er; // Unhandled 'error' event\n      ^\n\nError: listen EADDRINUSE: address already in use :::3000\n    at"
            " Server.setupListenHandle [as _listen2] (node:net:1740:16)\n  code: 'EADDRINUSE',\n  port: 3000\n}\n"
        ),
    ),
    (
        "python port",
        "PortInUse",
        {"port": "8000"},
        (
            "INFO:     Started server process [1]\nERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already"
            " in use\nINFO:     Waiting for application shutdown.\n"
        ),
    ),
    (
        "gunicorn port",
        "PortInUse",
        {"port": "8000"},
        "[2026-11-21 12:00:00 +0000] [1] [INFO] Starting gunicorn 20\n"
        + "[2026-11-21 12:00:00 +0000] [1] [ERROR] Connection in use: ('0.0.0.0', 8000)\n[2026-11-21 12:00:00 +0000] [1] [ERROR] Retrying in 1"
        " second.\n"
        * 5
        + "[2026-11-21 12:00:05 +0000] [1] [ERROR] Can't connect to ('0.0.0.0', 8000)\n",
    ),
    (
        "spring port",
        "PortInUse",
        {"port": "8080"},
        (
            "***************************\nAPPLICATION FAILED TO START\n***************************\n\nDescription:\n\nWeb server failed to start."
            " Port 8080 was already in use.\n\nAction:\n\nIdentify and stop the process that's listening on port 8080 or configure this application"
            " to listen on another port.\n"
        ),
    ),
    (
        "nginx port",
        "PortInUse",
        {"port": "80"},
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address in use)\n" * 5 + "nginx: [emerg] still could not bind()\n",
    ),
    (
        ".net port",
        "PortInUse",
        {"port": "80"},
        (
            "crit: Microsoft.AspNetCore.Server.Kestrel[0]\n      Unable to start Kestrel.\n      System.IO.IOException: Failed to bind to address"
            " http://[::]:80: address already in use.\n"
        ),
    ),
    (
        "postgres port",
        "PortInUse",
        {"port": "5432"},
        (
            'LOG:  could not bind IPv4 address "0.0.0.0": Address in use\nHINT:  Is another postmaster already running on port 5432? If not, wait a'
            ' few seconds and retry.\nWARNING:  could not create listen socket for "*"\nFATAL:  could not create any TCP/IP sockets\n'
        ),
    ),
    (
        "redis port",
        "PortInUse",
        {"port": "6379"},
        (
            "1:C 21 Nov 2026 12:00:00.000 * oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n1:M 21 Nov 2026 12:00:00.001 # Warning: Could not create"
            " server TCP listening socket *:6379: bind: Address already in use\n1:M 21 Nov 2026 12:00:00.001 # Failed listening on port 6379 (tcp),"
            " aborting.\n"
        ),
    ),
    ("fake", "PortInUse", {"port": "3000"}, "Error: bind port 3000: address already in use\n"),
    # permissions, files, space
    (
        "python permission",
        "PermissionDenied",
        {"path": "/data/app.db"},
        (
            'Traceback (most recent call last):\n  File "/app/x.py", line 1, in <module>\nPermissionError: [Errno 13] Permission denied:'
            " '/data/app.db'\n"
        ),
    ),
    ("go permission", "PermissionDenied", {"path": "/var/lib/app/lock"}, "open /var/lib/app/lock: permission denied\n"),
    (
        "nginx permission",
        "PermissionDenied",
        {"path": "/var/cache/nginx/client_temp"},
        'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)\n',
    ),
    ("shell permission", "PermissionDenied", {"path": "/data/x"}, "sh: can't create /data/x: Permission denied\n"),
    ("mkdir", "PermissionDenied", {"path": "/data"}, "mkdir: cannot create directory '/data': Permission denied\n"),
    (
        "java permission",
        "PermissionDenied",
        {"path": "/logs/app.log"},
        'Exception in thread "main" java.nio.file.AccessDeniedException: /logs/app.log\n\tat a.b(C.java:1)\n',
    ),
    ("bind permission", "PermissionDenied", {"port": "80"}, "listen tcp :80: bind: permission denied\n"),
    (
        "postgres owner",
        "PermissionDenied",
        {"path": "/var/lib/postgresql/data/pgdata"},
        (
            'FATAL:  data directory "/var/lib/postgresql/data/pgdata" has wrong ownership\nHINT:  The server must be started by the user that owns'
            " the data directory.\n"
        ),
    ),
    (
        ".net permission",
        "PermissionDenied",
        {"path": "/keys"},
        "Unhandled exception. System.UnauthorizedAccessException: Access to the path '/keys' is denied.\n   at X()\n",
    ),
    (
        "node permission",
        "PermissionDenied",
        {"path": "/app/cache"},
        "Error: EACCES: permission denied, mkdir '/app/cache'\n    at Object.mkdirSync (node:fs:1)\n",
    ),
    ("rofs go", "ReadOnlyFileSystem", {"path": "/app/tmp"}, "mkdir /app/tmp: read-only file system\n"),
    ("rofs python", "ReadOnlyFileSystem", {"path": "/app/cache.db"}, "OSError: [Errno 30] Read-only file system: '/app/cache.db'\n"),
    ("rofs shell", "ReadOnlyFileSystem", {"path": "/var/run/app.pid"}, "sh: can't create /var/run/app.pid: Read-only file system\n"),
    (
        "rofs nginx",
        "ReadOnlyFileSystem",
        {"path": "/var/cache/nginx/client_temp"},
        'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)\n',
    ),
    ("rofs node", "ReadOnlyFileSystem", {"path": "/app/x"}, "Error: EROFS: read-only file system, open '/app/x'\n    at a (b:1:1)\n"),
    ("space go", "NoSpaceLeft", {"path": "/data/wal/0001"}, "write /data/wal/0001: no space left on device\n"),
    (
        "space postgres",
        "NoSpaceLeft",
        {"path": "pg_wal/xlogtemp.29"},
        (
            'PANIC:  could not write to file "pg_wal/xlogtemp.29": No space left on device\nLOG:  startup process (PID 29) was terminated by signal'
            " 6: Aborted\nLOG:  aborting startup due to startup process failure\n"
        ),
    ),
    ("space python", "NoSpaceLeft", {}, "OSError: [Errno 28] No space left on device\n"),
    ("space dd", "NoSpaceLeft", {"path": "/data/fill"}, "dd: error writing '/data/fill': No space left on device\n"),
    (
        "file python",
        "FileMissing",
        {"path": "/etc/app/config.yaml"},
        (
            'Traceback (most recent call last):\n  File "/app/x.py", line 1, in <module>\nFileNotFoundError: [Errno 2] No such file or directory:'
            " '/etc/app/config.yaml'\n"
        ),
    ),
    (
        "file go",
        "FileMissing",
        {"path": "/etc/app/config.yaml"},
        'level=fatal msg="error loading config" err="open /etc/app/config.yaml: no such file or directory"\n',
    ),
    (
        "file node",
        "FileMissing",
        {"path": "/app/server.js"},
        (
            "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module '/app/server.js'\n    at Module._resolveFilename"
            " (node:internal/modules/cjs/loader:1077:15)\n  code: 'MODULE_NOT_FOUND',\n  requireStack: []\n}\n"
        ),
    ),
    ("file jar", "FileMissing", {"path": "/app/app.jar"}, "Error: Unable to access jarfile /app/app.jar\n"),
    ("file cat", "FileMissing", {"path": "/config/app.conf"}, "cat: can't open '/config/app.conf': No such file or directory\n"),
    (
        "file java",
        "FileMissing",
        {"path": "/config/app.properties"},
        'Exception in thread "main" java.io.FileNotFoundException: /config/app.properties (No such file or directory)\n\tat a.b(C.java:1)\n',
    ),
    (
        ".net file",
        "FileMissing",
        {"path": "/app/appsettings.json"},
        (
            "Unhandled exception. System.IO.FileNotFoundException: The configuration file 'appsettings.json' was not found and is not optional. The"
            " expected physical path was '/app/appsettings.json'.\n   at X()\n"
        ),
    ),
    (
        "ruby file",
        "FileMissing",
        {"path": "/app/config.yml"},
        "/app/a.rb:1:in `read': No such file or directory @ rb_sysopen - /app/config.yml (Errno::ENOENT)\n\tfrom /app/a.rb:1:in `<main>'\n",
    ),
    ("file shell words", "FileMissing", {"path": "/etc/app/app.conf"}, "starting\nFATAL: configuration file /etc/app/app.conf not found\n"),
    ("python script", "FileMissing", {"path": "/app/main.py"}, "python: can't open file '/app/main.py': [Errno 2] No such file or directory\n"),
    # environment
    ("env shell", "EnvironmentMissing", {"variable": "DATABASE_URL"}, "Error: DATABASE_URL is required\n"),
    ("env words", "EnvironmentMissing", {"variable": "DEPLOY_ENV"}, "Starting\nERROR: required environment variable DEPLOY_ENV is not set\n"),
    (
        "env python",
        "EnvironmentMissing",
        {"variable": "SECRET_KEY"},
        (
            'Traceback (most recent call last):\n  File "/app/settings.py", line 2, in <module>\n    os.environ[\'SECRET_KEY\']\n  File "<frozen'
            " os>\", line 679, in __getitem__\nKeyError: 'SECRET_KEY'\n"
        ),
    ),
    ("env unset", "EnvironmentMissing", {"variable": "API_TOKEN"}, "/start.sh: line 3: API_TOKEN: unbound variable\n"),
    ("env ash", "EnvironmentMissing", {"variable": "API_TOKEN"}, "sh: API_TOKEN: parameter not set\n"),
    (
        "env postgres image",
        "EnvironmentMissing",
        {"variable": "POSTGRES_PASSWORD"},
        (
            "Error: Database is uninitialized and superuser password is not specified.\n       You must specify POSTGRES_PASSWORD to a non-empty"
            " value for the\n       superuser.\n"
        ),
    ),
    (
        "env mysql image",
        "EnvironmentMissing",
        {"variable": "MYSQL_ROOT_PASSWORD"},
        (
            "2026-11-21 12:00:00+00:00 [Note] [Entrypoint]: Entrypoint script for MySQL Server started.\n2026-11-21 12:00:00+00:00 [ERROR]"
            " [Entrypoint]: Database is uninitialized and password option is not specified\n    You need to specify one of the following as an"
            " environment variable:\n    - MYSQL_ROOT_PASSWORD\n"
        ),
    ),
    (
        "env spring",
        "EnvironmentMissing",
        {"variable": "payment.url"},
        "Caused by: java.lang.IllegalArgumentException: Could not resolve placeholder 'payment.url' in value \"${payment.url}\"\n",
    ),
    (
        "env prisma",
        "EnvironmentMissing",
        {"variable": "DATABASE_URL"},
        "error: Environment variable not found: DATABASE_URL.\n  -->  schema.prisma:10\n",
    ),
    ("env go", "EnvironmentMissing", {"variable": "PORT"}, 'panic: env: required environment variable "PORT" is not set\n\ngoroutine 1 [running]:\n'),
    ("env envconfig", "EnvironmentMissing", {"variable": "APP_DSN"}, "2026/11/21 12:00:00 required key APP_DSN missing value\n"),
    (
        "env ruby",
        "EnvironmentMissing",
        {"variable": "REDIS_URL"},
        "/app/config.rb:3:in `fetch': key not found: \"REDIS_URL\" (KeyError)\n\tfrom /app/config.rb:3:in `<main>'\n",
    ),
    (
        "env elixir",
        "EnvironmentMissing",
        {"variable": "SECRET_KEY_BASE"},
        "** (RuntimeError) environment variable SECRET_KEY_BASE is missing.\nYou can generate one by calling: mix phx.gen.secret\n",
    ),
    (
        "env django",
        "EnvironmentMissing",
        {"variable": "SECRET_KEY"},
        (
            'Traceback (most recent call last):\n  File "a", line 1\ndjango.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be'
            " empty.\n"
        ),
    ),
    (
        "env joi",
        "EnvironmentMissing",
        {"variable": "JWT_SECRET"},
        (
            '[Nest] 1  - 11/21/2026, 12:00:00 PM   ERROR [ExceptionHandler] Config validation error: "JWT_SECRET" is required\nError: Config'
            ' validation error: "JWT_SECRET" is required\n    at a (/app/b.js:1:1)\n'
        ),
    ),
    (
        "env json",
        "EnvironmentMissing",
        {"variable": "STRIPE_API_KEY"},
        '{"severity":"CRITICAL","message":"Missing required environment variable: STRIPE_API_KEY"}\n',
    ),
    # configuration
    (
        "nginx directive",
        "ConfigurationInvalid",
        {"path": "/etc/nginx/nginx.conf", "line": "12"},
        'nginx: [emerg] unknown directive "servr" in /etc/nginx/nginx.conf:12\n',
    ),
    (
        "nginx brace",
        "ConfigurationInvalid",
        {"path": "/etc/nginx/conf.d/a.conf", "line": "3"},
        'nginx: [emerg] unexpected "}" in /etc/nginx/conf.d/a.conf:3\n',
    ),
    (
        "prometheus",
        "ConfigurationInvalid",
        {"path": "/etc/prometheus/prometheus.yml"},
        (
            'ts=2026-11-21T12:00:00Z caller=main.go:1 level=error msg="Error loading config (--config.file=/etc/prometheus/prometheus.yml)"'
            ' file=/etc/prometheus/prometheus.yml err="parsing YAML file /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\\n  line 3: field'
            ' scrape_configz not found in type config.plain"\n'
        ),
    ),
    (
        "redis config",
        "ConfigurationInvalid",
        {"line": "3"},
        (
            "*** FATAL CONFIG FILE ERROR (Redis 7.2.0) ***\nReading the configuration file, at line 3\n>>> 'maxmemry 100mb'\nBad directive or wrong"
            " number of arguments\n"
        ),
    ),
    (
        "haproxy",
        "ConfigurationInvalid",
        {"path": "/usr/local/etc/haproxy/haproxy.cfg", "line": "9"},
        (
            "[ALERT]    (1) : config : parsing [/usr/local/etc/haproxy/haproxy.cfg:9] : unknown keyword 'bakend' in 'frontend' section\n[ALERT]   "
            " (1) : config : Fatal errors found in configuration.\n"
        ),
    ),
    (
        "pyyaml",
        "ConfigurationInvalid",
        {"path": "/etc/app/config.yaml", "line": "3"},
        (
            'Traceback (most recent call last):\n  File "/app/main.py", line 9, in <module>\nyaml.scanner.ScannerError: mapping values are not'
            ' allowed here\n  in "/etc/app/config.yaml", line 3, column 10\n'
        ),
    ),
    (
        "go flag",
        "ConfigurationInvalid",
        {},
        (
            "flag provided but not defined: -vrebose\nUsage of /app:\n  -port int\n    \tport to listen on (default 8080)\n  -verbose\n   "
            " \tverbose\nmore words here\nand here\nand here\nand here\n"
        ),
    ),
    (
        "mysql option",
        "ConfigurationInvalid",
        {},
        (
            "2026-11-21T12:00:00.000000Z 0 [System] [MY-010116] [Server] mysqld starting as process 1\n2026-11-21T12:00:00.100000Z 0 [ERROR]"
            " [MY-000067] [Server] unknown variable 'innodb_bufer=1'.\n2026-11-21T12:00:00.100001Z 0 [ERROR] [MY-010119] [Server] Aborting\n"
        ),
    ),
    (
        "postgres config",
        "ConfigurationInvalid",
        {"path": "/etc/postgresql/postgresql.conf", "line": "7"},
        (
            'LOG:  syntax error in file "/etc/postgresql/postgresql.conf" line 7, near token "x"\nFATAL:  configuration file'
            ' "/etc/postgresql/postgresql.conf" contains errors\n'
        ),
    ),
    (
        "apache",
        "ConfigurationInvalid",
        {"path": "/usr/local/apache2/conf/httpd.conf", "line": "52"},
        (
            "AH00526: Syntax error on line 52 of /usr/local/apache2/conf/httpd.conf:\nInvalid command 'Listn', perhaps misspelled or defined by a"
            " module not included in the server configuration\n"
        ),
    ),
    ("coredns", "ConfigurationInvalid", {}, "/etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'forwrd'\n"),
    ("url", "ConfigurationInvalid", {}, 'parse "postgres://db:54x2/shop": invalid port ":54x2" after host\n'),
    (
        "pydantic",
        "ConfigurationInvalid",
        {},
        (
            'Traceback (most recent call last):\n  File "/app/main.py", line 3\npydantic_core._pydantic_core.ValidationError: 1 validation error'
            " for Settings\nport\n  Input should be a valid integer, unable to parse string as an integer [type=int_parsing, input_value='abc',"
            " input_type=str]\n"
        ),
    ),
    # the API server
    (
        "rbac go",
        "RBACForbidden",
        {"user": "system:serviceaccount:shop:web", "verb": "list", "resource": "pods", "namespace": "shop"},
        (
            'E1121 12:00:00.000001       1 reflector.go:1] "Failed to watch" err="failed to list *v1.Pod: pods is forbidden: User'
            ' \\"system:serviceaccount:shop:web\\" cannot list resource \\"pods\\" in API group \\"\\" in the namespace \\"shop\\""\n'
        ),
    ),
    (
        "rbac kubectl",
        "RBACForbidden",
        {"user": "system:serviceaccount:shop:default", "verb": "get", "resource": "configmaps", "namespace": "shop"},
        (
            'Error from server (Forbidden): configmaps "x" is forbidden: User "system:serviceaccount:shop:default" cannot get resource "configmaps"'
            ' in API group "" in the namespace "shop"\n'
        ),
    ),
    (
        "rbac cluster",
        "RBACForbidden",
        {"verb": "list", "resource": "nodes"},
        (
            'panic: nodes is forbidden: User "system:serviceaccount:a:b" cannot list resource "nodes" in API group "" at the cluster'
            " scope\n\ngoroutine 1 [running]:\n"
        ),
    ),
    (
        "rbac python",
        "RBACForbidden",
        {"verb": "list", "resource": "pods", "namespace": "shop"},
        (
            'Traceback (most recent call last):\n  File "/a.py", line 3\nkubernetes.client.exceptions.ApiException: (403)\nReason: Forbidden\nHTTP'
            ' response body: {"kind":"Status","message":"pods is forbidden: User \\"system:serviceaccount:shop:default\\" cannot list resource'
            ' \\"pods\\" in API group \\"\\" in the namespace \\"shop\\"","code":403}\n'
        ),
    ),
    # TLS
    (
        "tls go",
        "CertificateInvalid",
        {"host": "api", "port": "443"},
        'level=fatal msg="Get \\"https://api:443/\\": tls: failed to verify certificate: x509: certificate signed by unknown authority"\n',
    ),
    (
        "tls python",
        "CertificateInvalid",
        {"host": "api", "port": "443"},
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='api', port=443): Max retries exceeded with url: / (Caused by"
            " SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
            " (_ssl.c:1006)')))\n"
        ),
    ),
    (
        "tls java",
        "CertificateInvalid",
        {},
        (
            'Exception in thread "main" javax.net.ssl.SSLHandshakeException: PKIX path building failed:'
            " sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target\n\tat"
            " a.b(C.java:1)\n"
        ),
    ),
    (
        "tls node",
        "CertificateInvalid",
        {},
        "Error: certificate has expired\n    at TLSSocket.onConnectSecure (node:_tls_wrap:1659:34) {\n  code: 'CERT_HAS_EXPIRED'\n}\n",
    ),
    ("tls curl", "CertificateInvalid", {}, "curl: (60) SSL certificate problem: unable to get local issuer certificate\n"),
    # others
    ("architecture", "ImageWrongArchitecture", {}, "exec /usr/local/bin/app: exec format error\n"),
    ("architecture standard_init", "ImageWrongArchitecture", {}, "standard_init_linux.go:228: exec user process caused: exec format error\n"),
    ("heap java", "AppCrash", {}, 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat a.b(C.java:1)\n'),
    (
        "heap node",
        "AppCrash",
        {},
        (
            "<--- Last few GCs --->\n\n[1:0x1] 1000 ms: Mark-sweep 250.1 (255.1) MB\n\n<--- JS stacktrace --->\n\nFATAL ERROR: Reached heap limit"
            " Allocation failed - JavaScript heap out of memory\n 1: 0xb00 node::Abort() [node]\n"
        ),
    ),
    ("heap python", "AppCrash", {}, 'Traceback (most recent call last):\n  File "/a.py", line 1, in <module>\nMemoryError\n'),
    (
        "heap php",
        "AppCrash",
        {},
        "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /a.php on line 3\n",
    ),
]


@pytest.mark.parametrize("what, code, subjects, log", ENDS, ids=[row[0] for row in ENDS])
def test_what_ended_the_run(what: str, code: str, subjects: dict[str, str], log: str) -> None:
    cause = first_cause(log)
    assert cause is not None and cause.code == code, cause
    assert {key: cause.subjects.get(key, "") for key in subjects} == subjects, cause
    if not subjects:
        assert "host" not in cause.subjects and "variable" not in cause.subjects, cause


REFUSED = "ERROR connect to db:5432: connection refused\n"
# what, code, a part of the line, log: which of several errors it is
STORIES: list[tuple[str, str, str, str]] = [
    (
        "a bad reload, then refusals",
        "ConfigurationInvalid",
        "54x2",
        'INFO serving\nERROR config reload failed: invalid port "54x2" in /etc/app/config.yaml\n' + REFUSED * 10 + "FATAL giving up\n",
    ),
    (
        "refusals with retries",
        "DependencyUnreachable",
        "db:5432",
        "INFO start\n" + (REFUSED + "INFO retrying in 1s\n") * 6 + "FATAL giving up after 6 attempts\n",
    ),
    (
        "an optional plugin",
        "DependencyUnreachable",
        "db:5432",
        "ERROR loading optional plugin geo: open /plugins/geo.so: no such file or directory\n" + REFUSED + "FATAL startup failed\n",
    ),
    (
        "a plugin right before",
        "DependencyUnreachable",
        "db:5432",
        "ERROR could not load plugin geo: open /plugins/geo.so: no such file or directory\nFATAL connect to db:5432: connection refused\n",
    ),
    (
        "telemetry warns",
        "EnvironmentMissing",
        "API_KEY",
        "WARN could not reach telemetry at otel:4317: connection refused\nERROR API_KEY is not set\n",
    ),
    (
        "telemetry fails",
        "PermissionDenied",
        "/data",
        "ERROR otel exporter: dial tcp otel:4317: connect: connection refused\nERROR open /data/db: permission denied\nexiting\n",
    ),
    (
        "a default that is wrong",
        "EnvironmentMissing",
        "DATABASE_HOST",
        "WARN DATABASE_HOST is not set, using default localhost\nERROR connect to localhost:5432: connection refused\nFATAL giving up\n",
    ),
    (
        "an early error that it got over",
        "NoSpaceLeft",
        "no space",
        (
            "ERROR connect to cache:6379: connection refused\nINFO connected to cache:6379\nINFO listening on :8080\nINFO GET /a 200\nINFO GET /b"
            " 200\nERROR write /data/x: no space left on device\nexiting\n"
        ),
    ),
    (
        "a warning and its fatal end",
        "DependencyUnreachable",
        "db:5432",
        "WARN connect to db:5432: connection refused\n" * 5 + "FATAL database not ready, giving up\n",
    ),
    (
        "what follows from stopping",
        "FileMissing",
        "config.yaml",
        "FATAL open /etc/app/config.yaml: no such file or directory\nINFO shutting down\nERROR could not close pool: not connected\nINFO bye\n",
    ),
    (
        "no rights to the file that is missed later",
        "PermissionDenied",
        "/data/keys",
        "ERROR mkdir /data/keys: permission denied\nERROR open /data/keys/id: no such file or directory\nexit\n",
    ),
    (
        "two services, the last one ended it",
        "DependencyUnreachable",
        "mq:5672",
        (
            "ERROR connect to cache:6379: connection refused\nINFO cache disabled\nINFO warm up\nINFO loading\nFATAL connect to mq:5672: connection"
            " refused\n"
        ),
    ),
    (
        "python logs, then dies",
        "DependencyUnreachable",
        "db",
        (
            'ERROR:root:Failed to connect to db:5432\nTraceback (most recent call last):\n  File "a.py", line 1\nConnectionRefusedError: [Errno 111]'
            " Connection refused\n"
        ),
    ),
]


@pytest.mark.parametrize("what, code, part, log", STORIES, ids=[row[0] for row in STORIES])
def test_which_error_it_was(what: str, code: str, part: str, log: str) -> None:
    cause = first_cause(log)
    assert cause is not None and cause.code == code and part in f"{cause.line} {cause.subjects}", cause


def test_repetitions_count_once() -> None:
    cause = first_cause("INFO a\n" + REFUSED * 7 + "FATAL giving up\n")
    assert cause is not None and cause.repeated == 7 and cause.says == "cannot reach db:5432 (connection refused)"
    cause = first_cause("ERROR config reload failed: yaml: line 3: did not find expected key\n" + REFUSED * 7 + "FATAL giving up\n")
    assert cause is not None and cause.leads_to == "cannot reach db:5432 (connection refused)" and cause.repeated == 1


NOTHING: list[tuple[str, str]] = [
    ("empty", ""),
    ("started", "INFO starting\nINFO listening on :8080\n"),
    ("zero errors", "checked 5 files: 0 errors, 0 failed\nno errors\nerror rate 0.0\n"),
    (
        "information with error words",
        (
            'level=info msg="connection refused is retried"\n{"level":"debug","msg":"permission denied for /x, trying /y"}\n[info] cannot connect'
            " yet\nDEBUG no such host: x\n"
        ),
    ),
    (
        "an index",
        "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:3\nexit status 2\n",
    ),
    ("a key of data", "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nKeyError: 'user_id'\n"),
    ("a type error", "TypeError: Cannot read properties of undefined (reading 'x')\n    at Object.<anonymous> (/app/index.js:3:3)\n"),
    ("telemetry alone", "INFO start\nWARN could not reach telemetry at otel:4317: connection refused\nINFO work\nINFO work\nINFO work\n"),
    (
        "telemetry, then a panic",
        "WARN could not reach telemetry at otel:4317: connection refused\npanic: runtime error: index out of range [5]\n\ngoroutine 1 [running]:\n",
    ),
    ("recovered", "WARN connect to db:5432: connection refused\nINFO connected to db:5432\nINFO listening on :8080\nINFO done\n"),
    ("a missing module", "Error: Cannot find module 'express'\nRequire stack:\n- /app/x.js\n    at a (b:1:1)\n"),
    ("a clean job", "loading 10 rows\nok\nsuccess\n"),
    ("assertion", "AssertionError: 3 != 4\n"),
    ("access log", '10.0.0.1 - - [21/Nov/2026:12:00:00 +0000] "GET /no-such-file HTTP/1.1" 404 153 "-" "curl"\n' * 5),
    ("a command not found", "sh: migrate: not found\n"),
    ("a missing interpreter", "exec /entrypoint.sh: no such file or directory\n"),
]


@pytest.mark.parametrize("what, log", NOTHING, ids=[row[0] for row in NOTHING])
def test_logs_without_a_cause(what: str, log: str) -> None:
    assert first_cause(log) is None


# code ("" where the log names none of the table), log
VARIANTS: list[tuple[str, str]] = [
    ("EnvironmentMissing", "Starting app\nChecking configuration...\nFATAL: DB_PASSWORD environment variable is not set"),
    ("EnvironmentMissing", "Error: Missing required environment variables: DB_HOST, DB_USER"),
    ("EnvironmentMissing", "config error: missing DATABASE_URL"),
    ("EnvironmentMissing", "[ERROR] Required config API_KEY not found"),
    ("EnvironmentMissing", "panic: missing env APP_SECRET"),
    ("EnvironmentMissing", "ValueError: SECRET_KEY environment variable not set"),
    ("EnvironmentMissing", "Environment variable 'DEPLOY_ENV' is undefined"),
    ("EnvironmentMissing", "RuntimeError: DEPLOY_ENV must be defined"),
    ("EnvironmentMissing", "fatal: $REDIS_HOST is empty"),
    ("EnvironmentMissing", "Exiting: environment variable KAFKA_BROKERS must be set"),
    ("EnvironmentMissing", 'time="2026" level=fatal msg="MODE not configured"'),
    ("EnvironmentMissing", "Error: option --db-url is required"),
    ("EnvironmentMissing", "error: the following arguments are required: --token"),
    ("EnvironmentMissing", "KAFKA_ZOOKEEPER_CONNECT is required"),
    ("ConfigurationInvalid", "ERROR: invalid value for LOG_LEVEL: 'verbos'"),
    ("ConfigurationInvalid", "Error: failed to parse /etc/app/config.json: Unexpected token } in JSON at position 33"),
    ("ConfigurationInvalid", "SyntaxError: /config/app.json: Unexpected token h in JSON at position 1"),
    ("ConfigurationInvalid", "Fatal: invalid configuration: replicas must be positive"),
    ("ConfigurationInvalid", "error: cannot unmarshal config: yaml: line 7: could not find expected ':'"),
    ("ConfigurationInvalid", "configparser.MissingSectionHeaderError: File contains no section headers.\nfile: '/etc/app.ini', line: 1"),
    (
        "ConfigurationInvalid",
        (
            "Traceback (most recent call last):\n  File \"/app/main.py\", line 5, in <module>\n    cfg = json.load(open('/config/app.json'))\n  File"
            ' "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\njson.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)'
        ),
    ),
    ("ConfigurationInvalid", "2026-11-21 12:00:00 ERROR Failed to load config: invalid port number 'abc'"),
    ("ConfigurationInvalid", "FATAL could not parse config file /etc/app/settings.toml: expected '=' at line 3"),
    ("DependencyUnreachable", "ERROR: could not connect to postgres at db.shop.svc.cluster.local:5432 - connection refused"),
    ("DependencyUnreachable", "Error: connect ECONNREFUSED 10.0.0.1:6379"),
    ("DependencyUnreachable", "nc: db (10.96.1.1:5432): Connection refused"),
    ("DependencyUnreachable", "nc: can't connect to remote host (10.96.1.1): Connection refused"),
    ("DependencyUnreachable", "wget: can't connect to remote host (10.96.1.1): Connection timed out"),
    ("DependencyUnreachable", "wget: download timed out"),
    ("DependencyUnreachable", "FATAL: unable to reach payment-api:9000 after 30s"),
    ("DependencyUnreachable", "curl: (28) Connection timed out after 5001 milliseconds"),
    ("DependencyUnreachable", "curl: (28) Failed to connect to api port 80 after 5000 ms: Timeout was reached"),
    ("DependencyUnreachable", "upstream service http://inventory:8080/health unavailable (503)"),
    (
        "DependencyUnreachable",
        (
            "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='billing', port=8080): Max retries exceeded with url: / (Caused by"
            " ConnectTimeoutError(<x>, 'Connection to billing timed out. (connect timeout=5)'))"
        ),
    ),
    ("DependencyUnreachable", "pymongo.errors.ServerSelectionTimeoutError: mongo:27017: [Errno 111] Connection refused, Timeout: 30s"),
    ("DependencyUnreachable", "kafka.errors.NoBrokersAvailable: NoBrokersAvailable"),
    ("DependencyUnreachable", "pika.exceptions.AMQPConnectionError"),
    ("DependencyUnreachable", "ERROR 2003 (HY000): Can't connect to MySQL server on 'mysql:3306' (111)"),
    ("DependencyUnreachable", "Could not connect to Redis at redis:6379: Connection refused"),
    ("DependencyUnreachable", "redis.exceptions.TimeoutError: Timeout connecting to server"),
    ("DependencyUnreachable", "io.lettuce.core.RedisConnectionException: Unable to connect to redis/<unresolved>:6379"),
    (
        "DependencyUnreachable",
        "org.elasticsearch.client.ConnectionClosedException: Connection is closed\nERROR elasticsearch at http://es:9200 is unreachable",
    ),
    ("NameNotResolved", "ping: bad address 'db'"),
    ("NameNotResolved", "nslookup: can't resolve 'db'"),
    ("NameNotResolved", 'Ncat: Could not resolve hostname "db": Name or service not known. QUITTING.'),
    ("NameNotResolved", "getaddrinfo: Name or service not known (db)"),
    ("NameNotResolved", "ERROR: cannot resolve host payments.shop.svc"),
    ("NameNotResolved", "java.net.UnknownHostException: kafka: Temporary failure in name resolution"),
    ("NameNotResolved", "Error: Redis connection to redis:6379 failed - getaddrinfo ENOTFOUND redis"),
    ("NameNotResolved", "dial tcp: lookup redis on 10.96.0.10:53: server misbehaving"),
    ("NameNotResolved", "could not resolve host: backend"),
    ("PermissionDenied", "PermissionError: [Errno 13] Permission denied: '/var/log/app.log'"),
    ("PermissionDenied", "touch: /data/file: Permission denied"),
    ("PermissionDenied", "chown: /var/lib/data: Operation not permitted"),
    ("PermissionDenied", "Can't open log file /logs/x.log: Permission denied"),
    ("PermissionDenied", "[error] could not write to /cache: EACCES"),
    ("PermissionDenied", 'initdb: error: could not change permissions of directory "/var/lib/postgresql/data": Operation not permitted'),
    ("PermissionDenied", "httpd: bind: Permission denied"),
    ("PermissionDenied", "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)"),
    ("FileMissing", "Error: config file /etc/app/config.yaml not found"),
    ("FileMissing", "/bin/sh: can't open '/scripts/run.sh': No such file or directory"),
    ("FileMissing", "fatal: /etc/tls/tls.crt: no such file or directory"),
    ("FileMissing", "open /etc/tls/tls.crt: no such file or directory: failed to load TLS certificate"),
    ("FileMissing", "ls: /data/input: No such file or directory"),
    ("FileMissing", "missing file /config/settings.ini"),
    ("ReadOnlyFileSystem", "touch: /app/x: Read-only file system"),
    ("NoSpaceLeft", "sh: write error: No space left on device"),
    ("NoSpaceLeft", 'ERROR: could not extend file "base/1/2": No space left on device'),
    ("PortInUse", "httpd: bind: Address already in use"),
    ("PortInUse", "nc: bind: Address already in use"),
    ("PortInUse", "listen tcp 0.0.0.0:8080: bind: address already in use"),
    ("PortInUse", "OSError: [Errno 98] Address already in use"),
    ("PortInUse", "Error: Port 3000 is already in use"),
    (
        "RBACForbidden",
        (
            'Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods" in API group "" in the'
            ' namespace "a"'
        ),
    ),
    (
        "RBACForbidden",
        (
            '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"secrets is forbidden: User'
            ' \\"system:serviceaccount:a:b\\" cannot list resource \\"secrets\\" in API group \\"\\" in the namespace'
            ' \\"a\\"","reason":"Forbidden","code":403}'
        ),
    ),
    ("RBACForbidden", "ERROR failed to watch pods: 403 Forbidden from https://kubernetes.default.svc/api/v1/pods"),
    ("DependencyRefusesLogin", 'FATAL: role "app" does not exist'),
    ("DependencyRefusesLogin", "error: 401 Unauthorized: invalid credentials for user api"),
    ("DependencyRefusesLogin", "smtp: 535 5.7.8 Authentication credentials invalid"),
    ("DependencyRefusesLogin", "ERROR: authentication failed for user admin at db:5432"),
    ("DependencyRefusesLogin", "AUTH failed: WRONGPASS invalid username-password pair"),
    ("CertificateInvalid", "ERROR: certificate has expired"),
    ("CertificateInvalid", "curl: (60) SSL certificate problem: certificate has expired"),
    ("CertificateInvalid", "tls: failed to verify certificate: x509: certificate is valid for a.b, not c.d"),
    (
        "CertificateInvalid",
        (
            "wget: note: TLS certificate validation not implemented\nssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate"
            " verify failed: Hostname mismatch, certificate is not valid for 'api'. (_ssl.c:1000)"
        ),
    ),
    ("", "ERROR job failed: expected 3 rows, got 2"),
    ("", "Error: division by zero"),
    ("", "panic: assignment to entry in nil map"),
    ("", "Segmentation fault (core dumped)"),
    ("", 'ERROR: migration 0042 failed: column "x" does not exist'),
    ("", 'psycopg2.errors.UndefinedTable: relation "users" does not exist'),
    ("", 'java.lang.NullPointerException: Cannot invoke "String.length()" because "x" is null\n\tat a.b(C.java:1)'),
    ("", "ModuleNotFoundError: No module named 'flask'"),
    ("", "ImportError: cannot import name 'x' from 'y'"),
    ("", "fatal: simulated crash for testing"),
    ("", "Killed"),
    ("", "Error: something went wrong"),
    ("", "TypeError: 'NoneType' object is not subscriptable"),
    ("", "ERROR unhandled exception in handler: IndexError"),
    ("", "Health check failed"),
    ("", "Error: User name is required"),
    ("", "AssertionError: connection pool size must be set"),
    (
        "DependencyUnreachable",
        (
            "INFO start\nWARN config file /etc/app/extra.yaml not found, using defaults\nINFO connecting to db:5432\nERROR connect to db:5432:"
            " connection refused\nFATAL exiting"
        ),
    ),
    (
        "ConfigurationInvalid",
        (
            "Starting server v1.2\nERROR: reload of /etc/app/config.yaml failed: invalid value for upstream: 'db::5432'\nERROR: connection refused to"
            " upstream\nERROR: connection refused to upstream\nERROR: connection refused to upstream\nserver exiting\n"
        ),
    ),
    (
        "EnvironmentMissing",
        (
            "npm WARN deprecated x\n> app@1 start\n> node index.js\nMissing required environment variable: STRIPE_KEY\nnpm ERR! code ELIFECYCLE\nnpm"
            " ERR! errno 1\nnpm ERR! app@1 start: `node index.js`\nnpm ERR! Exit status 1\n"
        ),
    ),
    (
        "DependencyUnreachable",
        (
            "Waiting for postgres...\npg:5432 - no response\npg:5432 - no response\npg:5432 - no response\npg:5432 - no response\npg:5432 - no"
            " response\ntimeout waiting for pg:5432, giving up\n"
        ),
    ),
    ("FileMissing", "[entrypoint] starting\n[entrypoint] ERROR: /secrets/db-password: No such file or directory\n[entrypoint] exit 1\n"),
    (
        "PermissionDenied",
        (
            "2026-11-21T12:00:00Z INFO starting\n2026-11-21T12:00:01Z WARN sentry disabled: SENTRY_DSN is not set\n2026-11-21T12:00:02Z ERROR cannot"
            " open /data/store.db: permission denied\n"
        ),
    ),
    ("", "WARN cache miss\nERROR failed to load optional module x\nINFO ready\nINFO a\nINFO b\nINFO c\nINFO d\npanic: index out of range\n"),
    (
        "DependencyUnreachable",
        (
            "INFO a\nERROR could not load plugin x: file not found\nINFO connecting to rabbit:5672\nERROR AMQP connection to rabbit:5672 failed:"
            " connection refused\nINFO retry\nERROR AMQP connection to rabbit:5672 failed: connection refused\nINFO shutting down\n"
        ),
    ),
    (
        "NameNotResolved",
        (
            "Connecting to http://orders:8080\nwget: bad address 'orders:8080'\nretry 1\nwget: bad address 'orders:8080'\nretry 2\norders is not"
            " available\n"
        ),
    ),
    ("DependencyUnreachable", "dial tcp 10.96.0.3:3306: connect: connection refused\nError: migration failed\n"),
    (
        "RBACForbidden",
        (
            'I1121 12:00:00.000000 1 main.go:1] start\nE1121 12:00:00.000000 1 r.go:1] leases.coordination.k8s.io "x" is forbidden: User'
            ' "system:serviceaccount:a:b" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "a"\nE1121 12:00:09.000000'
            " 1 main.go:9] leader election lost\n"
        ),
    ),
    (
        "NoSpaceLeft",
        "LOG: starting\nERROR:  could not write to file: No space left on device\nFATAL:  terminating connection due to administrator command\n",
    ),
    ("", "INFO connected to db:5432\nINFO processing\nERROR job 17 failed: bad row 12\nexit 1\n"),
    (
        "EnvironmentMissing",
        (
            "Loading settings\nusing default for CACHE_SIZE\nERROR: variable PAYMENT_TOKEN missing\nTraceback (most recent call last):\n  File"
            ' "a.py", line 3, in <module>\n    sys.exit(1)\nSystemExit: 1\n'
        ),
    ),
    (
        "CertificateInvalid",
        (
            "ERROR handshake with api:8443 failed: x509: certificate signed by unknown authority\nERROR cannot connect to api:8443\nFATAL api client"
            " not ready\n"
        ),
    ),
]


@pytest.mark.parametrize("code, log", VARIANTS, ids=[f"{row[0]} {number}" for number, row in enumerate(VARIANTS)])
def test_variants(code: str, log: str) -> None:
    cause = first_cause(log)
    assert (cause.code if cause else "") == code, cause


RECURS: list[tuple[str, str, str]] = [
    (
        "rbac",
        "RBACForbidden",
        'E1121 12:00:00.000001 1 r.go:1] pods is forbidden: User "system:serviceaccount:s:w" cannot list resource "pods" in API group "" in the'
        ' namespace "s"\n'
        * 4,
    ),
    ("name", "NameNotResolved", "tick\nwget: bad address 'api:8080'\n" * 5),
    ("refused", "DependencyUnreachable", "wget: can't connect to remote host (10.96.1.1): Connection refused\nsleeping\n" * 5),
    ("timeouts", "DependencyUnreachable", "WARN request to http://api:80/ timed out\nINFO tick\n" * 5),
    ("tls", "CertificateInvalid", 'level=error msg="Get \\"https://api/\\": x509: certificate has expired or is not yet valid"\n' * 3),
    ("space", "NoSpaceLeft", "ERROR write /data/x: no space left on device\n" * 3),
    ("reload", "ConfigurationInvalid", "INFO serving\nERROR reloading config: yaml: line 3: did not find expected key\n" + REFUSED * 5),
    (
        "json",
        "DependencyUnreachable",
        '{"level":"error","msg":"poll failed","error":"dial tcp 10.1.1.1:80: connect: connection refused"}\n{"level":"info","msg":"tick"}\n' * 4,
    ),
]


@pytest.mark.parametrize("what, code, log", RECURS, ids=[row[0] for row in RECURS])
def test_what_comes_again_and_again(what: str, code: str, log: str) -> None:
    cause = recurring("INFO listening on :8080\n" + log)
    assert cause is not None and cause.code == code, cause


HEALTHY: list[tuple[str, str]] = [
    ("recovered", REFUSED * 4 + "INFO connected to db:5432\nINFO listening on :8080\n"),
    ("recovered without a name", REFUSED * 4 + "INFO database connection established\n"),
    ("server started after retries", REFUSED * 4 + "Server started\n"),
    ("twice", REFUSED * 2),
    ("long ago in the log", REFUSED * 5 + "INFO tick\n" * 12),
    ("telemetry", "ERROR otel exporter: dial tcp otel:4317: connect: connection refused\nINFO tick\n" * 5),
    ("handshakes of probes", "http: TLS handshake error from 10.0.0.1:51234: EOF\n" * 9),
    (
        "not found pages",
        '2026/11/21 12:00:00 [error] 31#31: *1 open() "/usr/share/nginx/html/x.ico" failed (2: No such file or directory), client: 10.0.0.1, server:'
        ' localhost, request: "GET /x.ico HTTP/1.1"\n'
        * 9,
    ),
    ("information", 'level=info msg="0 errors, error rate 0.0, connection refused: 0"\n' * 9),
    ("spread thin", (REFUSED + "INFO tick\n" * 15) * 3 + "INFO tick\n"),
]


@pytest.mark.parametrize("what, log", HEALTHY, ids=[row[0] for row in HEALTHY])
def test_what_healthy_applications_log(what: str, log: str) -> None:
    cause = recurring("INFO listening on :8080\n" + log)
    assert cause is None or (what == "not found pages" and cause.code == "FileMissing"), cause


def test_hostile_logs_neither_raise_nor_take_long() -> None:
    random.seed(5)
    letters = "aA0 :/.\"'{}[]()\\\x00\x1b\r\n\t=-\u202e\ufffd%" + "é" + "\U0001f600"
    texts = ["".join(random.choice(letters) for _one in range(3000)) for _two in range(30)]
    texts += [
        "{" * 20_000,
        '{"a":' * 5000,
        "a=" * 20_000,
        "[" * 20_000,
        "Caused by: " * 3000,
        "Error: " + "host='" * 4000,
        " ---> " * 5000,
        "Traceback (most recent call last)\n" * 3000,
    ]
    texts += [
        "connect " * 8000,
        "dial tcp " * 7000,
        "/a/b.c:1 " * 7000,
        "open /" * 9000,
        "KeyError: 'A_" * 4000,
        "ERROR " + "A_B " * 10_000 + "not set",
        "x509: " * 9000,
        "\x1b[" * 20_000,
    ]
    texts += [
        "\n".join("ERROR connect to " + "a." * 300 + ":1 refused" for _one in range(100)),
        "ERROR {path} {target} %s {0}: connection refused\n" * 100,
    ]
    started = time.process_time()
    for text in texts:
        first_cause(text)
        recurring(text)
    assert time.process_time() - started < 20


def test_logs_are_read_within_bounds() -> None:
    """Figures of a busy machine have to fit, too: alone it takes 5 to 30 ms for each."""
    stamp = "2026-11-21T11:59:00.123456789Z "
    ordinary = "".join(f"{stamp}INFO request {number} handled in 5 ms path=/api/v1/items status=200\n" for number in range(700))
    failing = "".join(f"{stamp}ERROR request {number} to api-{number}:80 failed: connection refused\n" for number in range(700))
    for text in (ordinary, failing, "ERROR " + "x" * 10_000_000, '{"level":"error","msg":"' + "x y " * 2_500_000 + '"}', REFUSED * 240_000):
        started = time.process_time()
        first_cause(text)
        assert time.process_time() - started < 0.5


def test_repeated_lines_and_times_come_from_the_kubelet() -> None:
    log = "".join(f"2026-11-21T11:59:0{number}.123456789Z {REFUSED}" for number in range(5))
    cause = recurring(log)
    assert cause is not None and cause.time == "2026-11-21T11:59:00.123456789Z" and cause.repeated == 5
    assert cause.times == tuple(f"2026-11-21T11:59:0{number}.123456789Z" for number in (2, 3, 4))


FETCH = "2026-11-21T12:0{0}:00Z INFO job {0} started\n2026-11-21T12:0{0}:10Z WARN retrying fetch: connection refused by feed.example:443, attempt 1/5\n"


def test_a_try_that_is_made_again_while_work_goes_on_is_no_cause() -> None:
    works = "".join(FETCH.format(minute) + f"2026-11-21T12:0{minute}:30Z INFO job {minute} done\n" for minute in range(6))
    assert recurring(works) is None
    stuck = recurring("".join(FETCH.format(minute) for minute in range(6)))
    assert stuck is not None and stuck.code == "DependencyUnreachable"
