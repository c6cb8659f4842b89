"""Snapshots: all that is known now about one canary. Nouns, present tense, last value wins.

The watcher publishes `CanaryObserved`, the router `RoutesObserved`. Neither carries a secret:
contents of ConfigMaps and Secrets travel as checksums, addresses without user information.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from serinus.events.canary import CanarySpec, CanaryStatus, MetricTemplateSpec


class CanaryRef(Struct, frozen=True, order=True):
    """Which canary. `uid` tells a deleted and re-created one apart."""

    namespace: str
    name: str
    uid: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Problem(Struct, frozen=True):
    """Why a manifest cannot work: where (`spec.service.port`), what is wrong, the cure."""

    path: str
    message: str
    cure: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f"; {self.cure}" if self.cure else "")


class Readiness(Struct, frozen=True):
    """Whether a workload can take traffic.

    state     ready; waiting (time may help); stuck (it will not: the deadline passed)
    text      why not, in the reference's words (2.12), without the wrapping prefix
    stuck_at  Unix seconds at which waiting becomes stuck, where a deadline is running
    crash     a pod's own reason, e.g. "container web of pod web-5d9-x is in CrashLoopBackOff"
    """

    state: Literal["ready", "waiting", "stuck"] = "waiting"
    text: str = ""
    stuck_at: float | None = None
    crash: str = ""


class Selector(Struct, frozen=True):
    """The one label that tells primary pods from canary pods (reference 3.2)."""

    key: str
    value: str


class WorkloadSeen(Struct, frozen=True, kw_only=True):
    """One workload as it is.

    revision   hash of the pod template, replicas excluded (`serinus.kube.revision`)
    promoted   only on the primary: the revision it was last given by us, from its annotation
    replicas   spec.replicas; None for kinds that have none. Of a StatefulSet those of this part: as
               target the pods from its partition on, as primary those below it
    ordinal    only of a StatefulSet as target: the ordinal of the first of its pods
    standin    only of a target: the workload that runs the canary's pods in its place, "" where it
               does itself; replicas and readiness are that one's then
    latest     the newest revision that Knative has made of it, "" elsewhere
    origin     what it says of where it comes from, by word: commit, cause, author, version ...
    changed_by the field manager that wrote its pod template last
    error      why it could not be read as a workload we can handle, in the reference's words
    """

    api_version: str = "apps/v1"
    kind: str = "Deployment"
    name: str = ""
    found: bool = False
    resource_version: str = ""
    revision: str = ""
    promoted: str = ""
    replicas: int | None = None
    ordinal: int | None = None
    standin: str = ""
    images: dict[str, str] = {}
    selector: Selector | None = None
    ports: dict[str, int] = {}
    readiness: Readiness = Readiness()
    latest: str = ""
    origin: dict[str, str] = {}
    changed_by: str = ""
    error: str = ""


class CanaryObserved(Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot.canary.v1"):
    """Everything the watcher knows about one canary.

    resource_version  of the Canary: the precondition of the next status write
    annotated_by      who wrote annotations of ours, and when: key -> `<field manager> at <time>`
    labels            of the Canary
    same_template     target and primary run the same template once our renames are undone
                      (the adoption test of reference 11.5); None where either is missing
    configs           tracked ConfigMaps and Secrets: `configmap/<name>` -> checksum; None where
                      tracking is off or the kind has none
    missing_configs   required ones that do not exist, as `configmap/<name>`
    templates         MetricTemplates named by the metrics, by `<namespace>/<name>`; headers removed
    template_private  those of them whose headers or address hold credentials: read them directly
    missing_providers AlertProviders that are named and do not exist, as `<namespace>/<name>`
    rivals            older Canaries with the same target: they are in charge, this one waits
    problems          what could not be decoded, by field path
    versions          digest of the resourceVersions this was composed from
    at                Unix seconds when it was composed
    """

    canary: CanaryRef
    resource_version: str
    generation: int = 0
    created: str = ""
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    annotated_by: dict[str, str] = {}
    labels: dict[str, str] = {}
    spec: CanarySpec
    status: CanaryStatus = CanaryStatus()
    target: WorkloadSeen = WorkloadSeen()
    primary: WorkloadSeen = WorkloadSeen()
    same_template: bool | None = None
    configs: dict[str, str] | None = None
    missing_configs: tuple[str, ...] = ()
    templates: dict[str, MetricTemplateSpec] = {}
    template_private: tuple[str, ...] = ()
    missing_providers: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    versions: str = ""
    at: float = 0.0


class CanaryGone(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot.canary.gone.v1"
):
    """The Canary object no longer exists; takes the place of its last snapshot."""

    canary: CanaryRef
    at: float = 0.0


class RoutesObserved(Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot.routes.v1"):
    """What the router made of the newest intent, read back from the live objects.

    intent      id of the intent this answers (`Intent.id`)
    revision    the intent's revision
    settled     everything the intent asks for is true, read back and accepted by the data plane
    primary, canary, mirrored   live weights in percent; None where no route exists yet
    primary_revision   what the primary was last given; "" where it does not exist
    waiting     why it is not settled yet, as a person would say it; "" when settled
    error       the API server's or the mesh's refusal, in full; "" when there is none
    refused     reason word of IntentRefused where the router will not do it at all; "" otherwise
    """

    canary: CanaryRef
    intent: str
    revision: str = ""
    settled: bool = False
    primary_weight: int | None = None
    canary_weight: int | None = None
    mirrored: bool = False
    primary_revision: str = ""
    waiting: str = ""
    error: str = ""
    refused: str = ""
    at: float = 0.0
