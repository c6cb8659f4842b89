"""A route of the user's that a canary refers to: the entries that lead to S are ours, for a while.

In every rule that leads to S the entry becomes two, S-primary and S-canary. For A/B requests a copy
of the rule with their conditions is put before it. Nothing else is touched, so whatever somebody
else changes in the object stays.

Whose a rule is can be read off it: one of theirs names the primary first, a copy of ours names the
canary first. That is how the rules can be given back at any time, whatever was edited meanwhile; a
note in the object says what cannot be read off: weights that were there before.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from serinus.events import Exposure, Routes
from serinus.events.canary import HttpMatch
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import ORIGINAL, Live, NotYet, Refusal, annotations_of
from serinus.router.core.routes import agreed, seen

NAME_LENGTH_MAX = 63


class Dialect(Protocol):
    """How one kind of route says things.

    sections  fields of the spec that hold rules
    entries   field of a rule that holds whom it leads to
    """

    sections: tuple[str, ...]
    entries: str

    def weights(self, entries: Sequence[Obj]) -> list[int | None]:
        """What each entry of a rule counts among them; None: it takes no share of the requests."""
        ...

    def service_of(self, entry: Obj, namespace: str) -> str:
        """The Service in this namespace that an entry leads to, "" for anything else."""
        ...

    def leading_to(self, entry: Obj, service: str) -> Obj:
        """The same entry, leading to another Service. Raises Refusal where it cannot."""
        ...

    def narrowed(self, section: str, rule: Obj, conditions: Sequence[HttpMatch]) -> list[Obj]:
        """The rule for requests that meet the conditions, too: one, or one for each alternative.
        Raises Refusal."""
        ...

    def mirrored(self, section: str, rule: Obj, canary: Obj, percent: int) -> Obj:
        """The rule with a mirror to the canary's entry; percent 0: of everything. Raises
        Refusal."""
        ...

    def mirrors_to(self, rule: Obj, service: str, namespace: str) -> bool:
        """Whether the rule mirrors to this Service."""
        ...

    def unmirrored(self, rule: Obj, service: str, namespace: str) -> Obj:
        """The rule without a mirror to this Service."""
        ...


def check_kind(exposure: Exposure, mesh: str, kinds: Collection[str]) -> None:
    """Raises Refusal for a routeRef to a kind that the mesh does not read."""
    route = exposure.route
    if route is not None and route.kind not in kinds:
        names = " or ".join(kinds)
        raise Refusal("Route", f"routeRef on {mesh} names a {names}, not a {route.kind}")


def render(exposure: Exposure, routes: Routes, live: Live, ref: Ref, dialect: Dialect) -> Obj:
    """The user's route with its shares. Raises Refusal where there is nothing to share."""
    found = live.get(ref)
    if found is None:
        raise Refusal("Route", f"{ref.kind} {ref.name}.{ref.namespace} not found")
    if routes.cookies is not None:
        raise Refusal("Route", "session affinity needs a route of its own, not a routeRef")
    theirs = _theirs(exposure, found, dialect)
    whole = copy.deepcopy(found)
    noted: dict[str, list[Obj]] = {}
    for section, rules in theirs.items():
        whole["spec"][section] = [
            rule for each in rules for rule in _shared(exposure, routes, section, each, dialect)
        ]
        concerned = [rule for rule in rules if _leads_to(exposure, exposure.name, rule, dialect)]
        if concerned:
            noted[section] = concerned
    if not noted:
        raise Refusal("Route", f"backend {exposure.name} not found in {ref.kind} {ref.name}")
    annotations = {**annotations_of(found), note_key(exposure): _json(noted)}
    whole["metadata"]["annotations"] = annotations
    return whole


def observe(
    exposure: Exposure, routes: Routes, live: Live, ref: Ref, dialect: Dialect
) -> Routes | NotYet:
    """The shares that all its rules agree on; NotYet where they do not, or none is ours."""
    name = f"{ref.kind} {ref.name}.{ref.namespace}"
    found = live.get(ref)
    if found is None:
        return NotYet(f"{name} does not exist yet")
    is_ab = bool(routes.match or exposure.match)
    shares: set[tuple[int, int]] = set()
    mirror = False
    for _, rule in _rules(found, dialect):
        weights = _weights(exposure, rule, dialect)
        if exposure.name in weights:
            return NotYet(f"{name} still leads to {exposure.name} itself")
        if not {exposure.primary, exposure.canary} <= weights.keys():
            continue
        mirror = mirror or dialect.mirrors_to(rule, exposure.canary, exposure.namespace)
        if is_ab == (list(weights).index(exposure.canary) < list(weights).index(exposure.primary)):
            shares.add((weights[exposure.primary], weights[exposure.canary]))
    now = [seen(routes, primary=p, canary=c, mirror=mirror) for p, c in shares if p + c]
    if not now:
        names = f"{exposure.primary} and {exposure.canary}"
        return NotYet(f"{name} does not contain routes for {names}")
    return agreed(now, f"the rules of {name} do not agree on the canary's share")


def released(exposure: Exposure, live: Live, ref: Ref, dialect: Dialect) -> Obj | None:
    """The route as its user would have it now; None where there is none."""
    found = live.get(ref)
    if found is None:
        return None
    whole = copy.deepcopy(found)
    for section, rules in _theirs(exposure, found, dialect).items():
        whole["spec"][section] = rules
    annotations = annotations_of(whole)
    if annotations.pop(note_key(exposure), None) is not None:
        whole["metadata"]["annotations"] = annotations
        if not annotations:
            del whole["metadata"]["annotations"]
    return whole


def note_key(exposure: Exposure) -> str:
    """The annotation with the rules as they were; several canaries may share one route."""
    domain, _, name = ORIGINAL.partition("/")
    return f"{domain}/{f'{name}-{exposure.name}'[:NAME_LENGTH_MAX].rstrip('-.')}"


def both(match: Obj, special: Obj) -> Obj:
    """A match of theirs that also asks for what an A/B condition asks for. Raises Refusal where
    both test the same thing and only one can be said."""
    whole = copy.deepcopy(match)
    for field, value in copy.deepcopy(special).items():
        old = whole.get(field)
        if isinstance(old, list) and isinstance(value, list):
            names = {one["name"] for one in value}
            whole[field] = [*value, *(one for one in old if one["name"] not in names)]
        elif isinstance(old, dict) and field in _BY_NAME:
            whole[field] = {**old, **value}
        elif old is not None and old != value:
            raise Refusal("Route", f"both the route and analysis.match test {field}")
        else:
            whole[field] = value
    return whole


_BY_NAME = ("headers", "queryParams", "withoutHeaders", "sourceLabels")


# --- there ----------------------------------------------------------------------------------------


def _shared(
    exposure: Exposure, routes: Routes, section: str, rule: Obj, dialect: Dialect
) -> list[Obj]:
    """What one rule of theirs becomes."""
    if not _leads_to(exposure, exposure.name, rule, dialect):
        return [rule]
    split = _split(exposure, routes, rule, dialect)
    conditions = routes.match or exposure.match
    if conditions:
        narrow = dialect.narrowed(section, split, conditions)
        for one in narrow:
            one[dialect.entries] = _canary_first(exposure, one[dialect.entries], dialect)
            if "name" in one:
                one["name"] = f"{one['name']}-canary"
        return [*narrow, _split(exposure, Routes(), rule, dialect)]
    if routes.mirror:
        canary = next(
            entry
            for entry in split[dialect.entries]
            if dialect.service_of(entry, exposure.namespace) == exposure.canary
        )
        return [dialect.mirrored(section, split, canary, routes.mirror_weight)]
    return [split]


def _split(exposure: Exposure, routes: Routes, rule: Obj, dialect: Dialect) -> Obj:
    """Two entries for one. Beside other backends the weights of all are a hundredfold, so that
    a hundredth of a share can be said."""
    is_alone = _is_alone(rule, dialect)
    found = []
    for entry, count in _counted(rule, dialect):
        if count is None:
            found.append(entry)
            continue
        weight = 1 if is_alone else count
        if dialect.service_of(entry, exposure.namespace) != exposure.name:
            found.append({**entry, "weight": weight * 100})
            continue
        for service, share in (
            (exposure.primary, routes.primary),
            (exposure.canary, routes.canary),
        ):
            found.append({**dialect.leading_to(entry, service), "weight": weight * share})
    return {**copy.deepcopy(rule), dialect.entries: found}


def _canary_first(exposure: Exposure, entries: list[Obj], dialect: Dialect) -> list[Obj]:
    def is_canary(entry: Obj) -> bool:
        return dialect.service_of(entry, exposure.namespace) == exposure.canary

    return sorted(entries, key=lambda entry: not is_canary(entry))


# --- and back -------------------------------------------------------------------------------------


def _theirs(exposure: Exposure, found: Obj, dialect: Dialect) -> dict[str, list[Obj]]:
    """The rules by section as the user would have them."""
    noted = _noted(exposure, found)
    theirs: dict[str, list[Obj]] = {}
    for section, rule in _rules(found, dialect):
        rules = theirs.setdefault(section, [])
        order = [s for s in _weights(exposure, rule, dialect) if s in _ours(exposure)]
        if order == [exposure.primary, exposure.canary]:
            joined = _joined(exposure, rule, dialect)
            # A note that others' edits have made untrue is not believed.
            before = [
                one
                for one in noted.get(section, ())
                if _joined(exposure, _split(exposure, Routes(), one, dialect), dialect) == joined
            ]
            rules.append(copy.deepcopy(before[0]) if before else _plain(exposure, joined, dialect))
        elif order != [exposure.canary, exposure.primary]:
            rules.append(copy.deepcopy(rule))
    return theirs


def _joined(exposure: Exposure, rule: Obj, dialect: Dialect) -> Obj:
    """The rule with one entry for two, which still leads to the primary, and without our mirror."""
    found: list[Obj] = []
    for entry, count in _counted(copy.deepcopy(rule), dialect):
        if count is None:
            found.append(entry)
        elif dialect.service_of(entry, exposure.namespace) == exposure.canary and found:
            found[-1]["weight"] += count
        else:
            found.append({**entry, "weight": count})
    whole = {**copy.deepcopy(rule), dialect.entries: found}
    return dialect.unmirrored(whole, exposure.canary, exposure.namespace)


def _plain(exposure: Exposure, joined: Obj, dialect: Dialect) -> Obj:
    """The rule as it must have been, as far as that can be read off."""
    is_alone = _is_alone(joined, dialect)
    found = []
    for entry, count in _counted(joined, dialect):
        if count is None:
            found.append(entry)
            continue
        weight = {} if is_alone else {"weight": entry["weight"] // 100}
        one = {k: v for k, v in entry.items() if k != "weight"} | weight
        if dialect.service_of(one, exposure.namespace) == exposure.primary:
            one = dialect.leading_to(one, exposure.name)
        found.append(one)
    return {**joined, dialect.entries: found}


def _noted(exposure: Exposure, found: Obj) -> dict[str, list[Obj]]:
    note = annotations_of(found).get(note_key(exposure), "{}")
    try:
        return msgspec.json.decode(note, type=dict[str, list[dict[str, Any]]])
    except msgspec.MsgspecError:
        return {}


# --- reading --------------------------------------------------------------------------------------


def _rules(found: Obj, dialect: Dialect) -> Iterator[tuple[str, Obj]]:
    spec = found.get("spec") or {}
    for section in dialect.sections:
        for rule in spec.get(section) or ():
            yield section, rule


def _weights(exposure: Exposure, rule: Obj, dialect: Dialect) -> dict[str, int]:
    """Weights by Service, in order; entries that lead elsewhere are left out."""
    found: dict[str, int] = {}
    for entry, count in _counted(rule, dialect):
        service = dialect.service_of(entry, exposure.namespace)
        if service and count is not None:
            found[service] = found.get(service, 0) + count
    return found


def _counted(rule: Obj, dialect: Dialect) -> list[tuple[Obj, int | None]]:
    """Whom a rule leads to, and what each counts."""
    entries = rule.get(dialect.entries) or []
    return list(zip(entries, dialect.weights(entries), strict=True))


def _is_alone(rule: Obj, dialect: Dialect) -> bool:
    """Whether one entry takes all requests of a rule, whatever its weight says."""
    return sum(count is not None for _, count in _counted(rule, dialect)) == 1


def _leads_to(exposure: Exposure, service: str, rule: Obj, dialect: Dialect) -> bool:
    return service in _weights(exposure, rule, dialect)


def _ours(exposure: Exposure) -> tuple[str, str]:
    return exposure.primary, exposure.canary


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
