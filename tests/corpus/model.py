# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a case is: objects that are created, a sign that shows that they have failed (or run), and what has to be found.

A sign is ``(scene) -> bool`` over what one namespace holds at one moment. A case has one step or several: each applies objects, changes
the cluster with kubectl's words, and is done when its sign is there; then the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
PREFIX = "corpus-"  # of every namespace and every object of the cluster that a case makes
LABEL = "aiops.k8s/corpus"
NODE = "{node}"  # in objects and kubectl's words: the name of a node that is a machine
ANY = "*"  # a remedy or none: both are right


@dataclass
class Scene:
    """One namespace: its objects by list name, and the seconds since the step that is waited for was made."""

    objects: Mapping[str, list[Object]]
    seconds: float
    now: float  # seconds since 1970

    @property
    def pods(self) -> list[Object]:
        return self.objects.get("pods", [])


Sign = Callable[[Scene], bool]


@dataclass(frozen=True)
class Step:
    """``apply`` objects, then run ``kubectl`` (its words, in the case's namespace), then wait for the sign."""

    apply: tuple[Object, ...] = ()
    kubectl: tuple[tuple[str, ...], ...] = ()
    until: Sign = field(default=lambda scene: True)


@dataclass(frozen=True)
class Want:
    """One finding that has to be there.

    code: of the catalogue; several with | between them where each names the cause rightly. object: Kind/name, several with |.
    says: words that the root cause has to hold (several with | where one suffices).
    remedy: a word of the name of the remedy with a plan, empty when there must
    be no plan, ANY where it does not matter. affects: Kind/name of the workloads that fail because of this one.
    """

    code: str
    object: str
    says: tuple[str, ...] = ()
    remedy: str = ""
    affects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """``wants`` is empty for what is healthy or merely unusual. ``edit`` changes its recorded snapshot: such a case is only replayed."""

    name: str
    steps: tuple[Step, ...]
    wants: tuple[Want, ...] = ()
    allows: tuple[str, ...] = ()  # "code Kind/name" of what is true as well and may be said
    labels: Mapping[str, str] = field(default_factory=dict)  # of its namespace
    edit: Callable[[Object], None] | None = None
    about: str = ""

    @property
    def namespace(self) -> str:
        return PREFIX + self.name


def failing(
    name: str,
    code: str,
    target: str,
    *says: str,
    objects: tuple[Object, ...],
    sign: Sign,
    remedy: str = "",
    about: str = "",
    allows: tuple[str, ...] = (),
) -> Case:
    """The usual case: one thing fails for one reason as soon as its objects are there."""
    return Case(name, (Step(objects, until=sign),), (Want(code, target, says, remedy),), allows=allows, about=about)


def healthy(name: str, *objects: Object, sign: Sign, about: str) -> Case:
    return Case(name, (Step(objects, until=sign),), about=about)
