# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where a pod's volumes let it be: bound ones where their PersistentVolume is, unbound ones where one could come from.

``Volumes.of(pod, ...)`` reads the claims once. ``refused`` says what keeps every node away, ``never(slot)`` what keeps one node away for
good, ``why_not(slot, index)`` what keeps it away for one replica now; ``bind`` notes what a placed replica settles for those after it,
``reset`` forgets that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import ZONE, Cluster, Object, Slot, claims_of, term_holds
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

_PINNED = "volume.kubernetes.io/selected-node"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_STATIC = ("", "kubernetes.io/no-provisioner")
_SHARED = ("ReadWriteMany", "ReadOnlyMany")
_ONCE, _ONE_POD = "ReadWriteOnce", "ReadWriteOncePod"
# labels of a volume that its nodes must bear, and the newer name under which a node may bear them
_ZONES = {
    ZONE: ZONE,
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
Rule = Callable[[Slot], bool]


class Volumes:
    """The claims of the replicas of one pod: those that all share, and for a StatefulSet those that each has."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.refused = ""
        self.most: int | None = None  # replicas that the volumes allow at all
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.binds = False  # the first replica decides where the others may be
        self._rules: list[tuple[Rule, str]] = []
        self._first: list[tuple[Object, str]] = []  # shared claims that the first replica binds
        self._settled: list[tuple[Rule, str]] = []
        self._own: list[list[Object]] = []  # by replica: claims of its own
        self._taken: set[str] = set()  # volumes that replicas have bound
        self._claims = {
            (one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in self._list("persistentvolumeclaims")
        }
        self._volumes = {one["metadata"]["name"]: one for one in self._list("persistentvolumes")}
        self._classes = {one["metadata"]["name"]: one for one in self._list("storageclasses")}

    def _list(self, name: str) -> list[Object]:
        return self.cluster.objects.get(name) or []

    @classmethod
    def of(cls, pod: Object, cluster: Cluster, controller: Object | None = None, count: int = 0) -> Volumes:
        self, namespace = cls(cluster), pod["metadata"].get("namespace", "")
        templates = {one["metadata"]["name"]: one for one in ((controller or {}).get("spec") or {}).get("volumeClaimTemplates") or []}
        for name in dict.fromkeys(claims_of(pod)):
            if name not in templates:
                self._shared_claim(namespace, name)
        for volume in pod["spec"].get("volumes") or []:
            if volume.get("ephemeral") and not pod["metadata"].get("name"):
                claim = {"metadata": {"name": volume["name"], "namespace": namespace}, **volume["ephemeral"]["volumeClaimTemplate"]}
                self._own = self._own or [[] for _replica in range(count)]
                for claims in self._own:
                    claims.append(claim)
        if templates and controller:
            self._ordinals(namespace, list(templates.values()), controller, count)
        return self

    def _ordinals(self, namespace: str, templates: list[Object], controller: Object, count: int) -> None:
        spec = controller["spec"]
        first = int((spec.get("ordinals") or {}).get("start") or 0) + int(1 if spec.get("replicas") is None else spec["replicas"])
        self._own = self._own or [[] for _replica in range(count)]
        for index, claims in enumerate(self._own):
            for template in templates:
                name = f"{template['metadata']['name']}-{controller['metadata']['name']}-{first + index}"
                made = {"metadata": {"name": name, "namespace": namespace}, "spec": template["spec"]}
                claims.append(self._claims.get((namespace, name), made))

    def new_claims(self) -> list[Object]:
        """The claims that have to be made for the replicas."""
        return [one for claims in self._own for one in claims if "uid" not in one["metadata"] and "status" not in one]

    def differ(self) -> bool:
        """Whether replicas have volumes of their own, so that one may fit where another does not."""
        return any(self._own)

    def _shared_claim(self, namespace: str, name: str) -> None:
        claim = self._claims.get((namespace, name))
        unread = [one for one in ("persistentvolumeclaims", "persistentvolumes") if one not in self.cluster.objects]
        if claim is None and unread:
            self.refused = f"the list of {unread[0]} could not be read, which tells where claim {name} can be used"
            return
        if claim is None:
            self.refused = f"claim {name} does not exist in namespace {namespace}"
            return
        if "deletionTimestamp" in claim["metadata"]:
            self.refused = f"claim {name} is being deleted"
            return
        users = self.cluster.claims.get((namespace, name)) or Counter[str]()
        modes = claim["spec"].get("accessModes") or []
        if _ONE_POD in modes:
            self.most = 0 if users else 1
            self.warnings.append(f"Claim {name} may be used by one pod only (ReadWriteOncePod).")
        if is_bound(claim):
            self._bound(claim)
        else:
            self._unbound(claim)
        if _ONCE in modes and not set(modes) & set(_SHARED):
            self._one_node(name, users)

    def _one_node(self, name: str, users: Mapping[str, int]) -> None:
        """The scheduler does not know it: a node that has not the volume takes the pod, and the pod cannot start."""
        self.warnings.append(
            f"Claim {name} can be mounted on one node at a time (ReadWriteOnce): replicas on another node would not start, and the"
            " scheduler does not keep them from there."
        )
        if len(users) == 1:
            only = next(iter(users))
            self._rules.append((lambda slot: slot.name == only, f"claim {name} is in use on node {only}"))
        elif not users:
            self.binds = True
            self._first.append(({"metadata": {"name": name}}, "node"))

    def _bound(self, claim: Object) -> None:
        name, volume = claim["metadata"]["name"], self._volumes.get(claim["spec"]["volumeName"])
        if volume is None:
            self.refused = f"volume {claim['spec']['volumeName']} of claim {name} does not exist"
            return
        self._rules.append((lambda slot: reaches(volume, slot), f"volume {volume['metadata']['name']} of claim {name} is not there"))

    def _unbound(self, claim: Object) -> None:
        name, text = claim["metadata"]["name"], self._unbindable(claim)
        if text:
            self.refused = f"claim {name} {text}"
            return
        node = (claim["metadata"].get("annotations") or {}).get(_PINNED)
        if node:
            self._rules.append((lambda slot: slot.name == node, f"claim {name} waits for a volume on node {node}"))
            return
        self._rules.append((lambda slot: self._source(claim, slot) is not None, f"no volume for claim {name} can be had there"))
        self._first.append((claim, "volume"))
        self.binds = True

    def _unbindable(self, claim: Object) -> str:
        """Why a claim without a volume keeps a pod waiting wherever it goes."""
        if (claim.get("status") or {}).get("phase") == "Lost":
            return "has lost its volume"
        storage = self._class(claim)
        if storage is None:
            return "is not bound, and no StorageClass of its name exists"
        return "" if storage.get("volumeBindingMode") == "WaitForFirstConsumer" else "is not bound, and its StorageClass binds at once"

    def _class(self, claim: Object) -> Object | None:
        name = claim["spec"].get("storageClassName")
        if name is None:
            return next(
                (one for one in self._classes.values() if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"), None
            )
        return self._classes.get(name)

    def _source(self, claim: Object, slot: Slot) -> Object | None:
        """The volume that the claim would get on the node: the smallest that serves, else its class where that provisions there."""
        fitting = [one for one in self._volumes.values() if self._serves(one, claim) and reaches(one, slot)]
        if fitting:
            return min(fitting, key=lambda one: (fit.size((one["spec"].get("capacity") or {}).get("storage")), one["metadata"]["name"]))
        storage = self._class(claim)
        if storage is None or storage.get("provisioner", "") in _STATIC:
            return None
        terms = storage.get("allowedTopologies") or []
        fits = not terms or any(
            all(slot.labels.get(one["key"]) in one["values"] for one in term.get("matchLabelExpressions") or []) for term in terms
        )
        return storage if fits else None

    def _serves(self, volume: Object, claim: Object) -> bool:
        spec, wanted, name = volume["spec"], claim["spec"], claim["metadata"]["name"]
        reference = spec.get("claimRef")
        if reference and (reference.get("namespace"), reference.get("name")) != (claim["metadata"].get("namespace", ""), name):
            return False
        if volume["metadata"]["name"] in self._taken or (volume.get("status") or {}).get("phase", "Available") not in (
            "Available",
            "Pending",
        ):
            return False
        storage = self._class(claim)
        if (spec.get("storageClassName") or "") != (storage["metadata"]["name"] if storage else ""):
            return False
        if spec.get("volumeMode", "Filesystem") != wanted.get("volumeMode", "Filesystem"):
            return False
        asked = ((wanted.get("resources") or {}).get("requests") or {}).get("storage")
        selector = wanted.get("selector")
        return (
            set(wanted.get("accessModes") or []) <= set(spec.get("accessModes") or [])
            and fit.size((spec.get("capacity") or {}).get("storage")) >= fit.size(asked)
            and (not selector or fit.selects(selector, volume["metadata"].get("labels") or {}))
        )

    @property
    def is_open(self) -> bool:
        """Whether ``why_not`` has anything to say."""
        return bool(self._settled or self._own)

    def never(self, slot: Slot) -> str:
        """Why the volumes keep every replica from the node; empty where they do not."""
        return next((text for rule, text in self._rules if not rule(slot)), "")

    def why_not(self, slot: Slot, index: int = 0) -> str:
        """Why the volumes keep this replica from the node, now that others are placed; empty where they do not."""
        text = next((text for rule, text in self._settled if not rule(slot)), "")
        if text:
            return text
        for claim in self._own[index] if index < len(self._own) else ():
            text = self._own_refusal(claim, slot)
            if text:
                return text
        return ""

    def _own_refusal(self, claim: Object, slot: Slot) -> str:
        name = claim["metadata"]["name"]
        if is_bound(claim):
            volume = self._volumes.get(claim["spec"]["volumeName"])
            return "" if volume and reaches(volume, slot) else f"the volume of claim {name} is not there"
        storage = self._class(claim)
        if storage is None:
            return f"claim {name} would find no StorageClass"
        return "" if self._source(claim, slot) is not None else f"no volume for claim {name} can be had there"

    def bind(self, slot: Slot, index: int = 0) -> None:
        """A replica is on the node: its claims take their volumes."""
        for claim in self._own[index] if index < len(self._own) else ():
            source = None if is_bound(claim) else self._source(claim, slot)
            if source is not None and "capacity" in (source.get("spec") or {}):
                self._taken.add(source["metadata"]["name"])
        if self._settled or not self._first:
            return
        for claim, kind in self._first:
            source = self._source(claim, slot) if kind == "volume" else None
            self._settled.append(self._after(claim, source, slot))

    def _after(self, claim: Object, source: Object | None, slot: Slot) -> tuple[Rule, str]:
        name, zone = claim["metadata"]["name"], slot.labels.get(ZONE)
        if source is None:
            return (lambda other: other.name == slot.name), f"claim {name} is then in use on another node"
        if "capacity" in (source.get("spec") or {}):
            return (lambda other: reaches(source, other)), f"the volume that claim {name} gets is not there"
        self._note(f"The volume that claim {name} gets is assumed to be reachable in the zone of the first replica only.")
        return (
            lambda other: other.labels.get(ZONE) == zone if zone else other.name == slot.name
        ), f"claim {name} then lies in another zone"

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def reset(self) -> None:
        self._settled.clear()
        self._taken.clear()


def is_bound(claim: Object) -> bool:
    return bool(claim["spec"].get("volumeName")) and (claim.get("status") or {}).get("phase", "Bound") == "Bound"


def reaches(volume: Object, slot: Slot) -> bool:
    """Whether a volume can be used on a node: its node affinity, and the zones among its labels."""
    needed: Mapping[str, Any] = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
    terms = needed.get("nodeSelectorTerms")
    if terms is not None and not any(term_holds(term, slot) for term in terms):
        return False
    labels = {key: text for key, text in (volume["metadata"].get("labels") or {}).items() if key in _ZONES}
    if not labels or not any(key in slot.labels for key in _ZONES):
        return True
    return all(slot.labels.get(key, slot.labels.get(_ZONES[key], "")) in text.split("__") for key, text in labels.items())
