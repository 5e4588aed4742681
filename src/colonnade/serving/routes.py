"""What a worker serves of one endpoint, and how a call finds its variant and instance. No input, no output: pure choice."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from itertools import accumulate
from typing import Protocol

from colonnade.serving.asynchronous.terms import Terms
from colonnade.serving.capture import Capture
from colonnade.serving.faults import (
    Place,
    asynchronous_only,
    component_missing,
    container_not_found,
    no_copies,
    not_offered,
    target_missing,
    variant_not_found,
)
from colonnade.serving.hosted.container import ManyModels
from colonnade.serving.instances import Instance, Slot
from colonnade.serving.outliers import Outliers
from colonnade.serving.serverless.gate import Gate
from colonnade.statistics.sketch import Sketch

_SPILL = 8
"""Calls of this worker that a replica has not answered, above which a model's next call goes to the replica it prefers second."""
_ONE_MODEL = "the endpoint does not host several models (Mode MultiModel)."
_SERIAL = "has no containers that are invoked directly (InferenceExecutionConfig.Mode Direct)."


class Measure(Protocol):
    """Adds a value to one of a variant's metrics."""

    def __call__(self, metric: str, value: float = 1.0) -> None: ...


@dataclass(slots=True)
class Counters:
    """Sums since they were last taken: adding two of them is the sum of both workers."""

    invocations: int = 0
    client_errors: int = 0
    """Answers of the model from 400 to 499."""
    server_errors: int = 0
    """Answers of the model above that, time-outs, and calls that found no instance."""
    latency: Sketch = field(default_factory=Sketch)
    """Microseconds between asking instances and their answers."""
    containers: dict[str, Sketch] = field(default_factory=dict)
    """Of that, each container's part, where a call goes through several."""
    models: dict[str, Sketch] = field(default_factory=dict)
    """By CloudWatch's name of the metric, what a variant with many models noted of loading them: seconds, hits (1 or 0), counts."""

    def add(self, other: Counters) -> None:
        self.invocations += other.invocations
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.latency.merge(other.latency)
        for mine, theirs in ((self.containers, other.containers), (self.models, other.models)):
            for name, values in list(theirs.items()):
                mine.setdefault(name, Sketch()).merge(values)

    def __bool__(self) -> bool:
        return bool(self.invocations or self.models)

    def take(self) -> Counters:
        """What was counted; the counting goes on from nothing in this same object, which calls under way hold."""
        taken = replace(self)
        for each in fields(Counters):
            factory = each.default_factory
            setattr(self, each.name, factory() if callable(factory) else each.default)
        return taken

    def note(self, metric: str, value: float) -> None:
        self.models.setdefault(metric, Sketch()).add(value)

    def add_container(self, container: str, seconds: float) -> None:
        self.containers.setdefault(container, Sketch()).add(seconds * 1e6)


@dataclass(slots=True)
class Container:
    """One of a model's containers, with the instances that answer for it."""

    name: str
    """What errors call it: `primary`, or the ContainerHostname where there are several."""
    instances: Sequence[Instance]
    random_routing: bool = False
    """RoutingStrategy RANDOM; otherwise the instance with the fewest unanswered calls is taken."""
    many: ManyModels | None = None
    """Mode MultiModel: each call names its model."""
    outliers: Outliers = field(default_factory=Outliers)
    suspects: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a call under which an instance died that worked on others, too, while it is asked again: if another one dies then, it
    is that call's doing."""
    _turn: int = 0

    def saw(self, instance: Instance, status: int, seconds: float) -> None:
        """How one answered, so that the next choice is better; where there is no choice, nobody needs to know."""
        if len(self.instances) > 1:
            self.outliers.saw(instance.name, status, seconds)

    def pick_for(self, model: str) -> Instance | None:
        """The same one for each call of a model, so that not every instance must hold it: the highest of hashes over both. When
        it has too much to do, the next. None when no instance is alive."""
        alive = [instance for instance in self.instances if instance.alive]
        if len(alive) < 2:
            return alive[0] if alive else None
        first, second = sorted(alive, key=lambda one: _rank(model, one.name), reverse=True)[:2]
        return first if first.outstanding <= max(_SPILL, second.outstanding) else second

    def pick(self, rng: random.Random) -> Instance | None:
        """None when no instance is alive."""
        instances = self.instances
        if len(instances) == 1:
            return instances[0] if instances[0].alive else None
        alive: Sequence[Instance] = [instance for instance in instances if instance.alive]
        if not alive:
            return None
        alive = self.outliers.admitted(alive)
        if self.random_routing:
            return alive[int(rng.random() * len(alive))]
        burden = self.outliers.burden
        loads = [instance.outstanding + burden(instance.name) for instance in alive]
        least = min(loads)
        idlest = [instance for instance, load in zip(alive, loads, strict=True) if load == least]
        # Among equals it is each one's turn, or the first would get all of a light load.
        self._turn += 1
        return idlest[self._turn % len(idlest)]


@dataclass(slots=True)
class Variant:
    name: str
    weight: float
    containers: Sequence[Container]
    direct: bool = False
    """InferenceExecutionConfig.Mode Direct: each call names its container; otherwise it goes through all of them in order."""
    capture: Capture | None = None
    asynchronous: Terms | None = None
    """Of an asynchronous endpoint: answered out of its queue only."""
    gate: Gate | None = None
    """Of a serverless variant: bounds its calls."""
    counters: Counters = field(default_factory=Counters)
    slot: Slot | None = field(init=False)
    """Set when a compiled model is all there is: the shortest way to an answer."""
    many: bool = field(init=False)
    """Whether each call must name its model."""

    def __post_init__(self) -> None:
        answered_here = self.asynchronous is None and self.gate is None
        plain = len(self.containers) == 1 and not self.direct and answered_here
        only = self.containers[0].instances if plain else ()
        self.many = any(container.many is not None for container in self.containers)
        self.slot = only[0] if only and isinstance(only[0], Slot) else None

    @property
    def warm(self) -> bool:
        """Whether an instance could answer at once."""
        return any(one.alive and getattr(one, "loaded", True) for one in self.containers[0].instances)

    @property
    def instances(self) -> list[Instance]:
        return [instance for container in self.containers for instance in container.instances]

    def path(self, place: Place, hostname: str, target: str) -> Sequence[int]:
        """Which containers a call goes through, by number. Raises ValidationError for a `hostname` (TargetContainerHostname) or a
        `target` (TargetModel) that is missing, unknown or not to be given, and for an endpoint that is asynchronous."""
        if self.asynchronous is not None:
            raise asynchronous_only(place)
        if not self.containers:
            raise component_missing(place)
        if place.component and not any(container.instances for container in self.containers):
            raise no_copies()
        if bool(target) != self.many:
            raise target_missing(place) if self.many else not_offered("TargetModel", _ONE_MODEL)
        if not self.direct:
            if hostname:
                raise not_offered(
                    "TargetContainerHostname", f"variant {self.name} of endpoint {place.endpoint} {_SERIAL}"
                )
            return range(len(self.containers))
        for number, container in enumerate(self.containers):
            if container.name == hostname:
                return (number,)
        raise container_not_found(place, hostname, [container.name for container in self.containers])


class Route:
    """One endpoint's variants at one moment. Replaced as a whole, never changed."""

    def __init__(self, place: Place, generation: int, variants: Sequence[Variant]) -> None:
        self.place = place
        self.generation = generation
        self.variants: Mapping[str, Variant] = {variant.name: variant for variant in variants}
        weights = [variant.weight for variant in variants]
        if not any(weights):
            weights = [1.0] * len(weights)
        self._list = list(variants)
        self._bounds = list(accumulate(weights))

    def choose(self, target: str, rng: random.Random) -> Variant:
        """The variant asked for, also one of weight 0; else one by weight, independently of all other calls."""
        if target:
            try:
                return self.variants[target]
            except KeyError:
                raise variant_not_found(self.place, target) from None
        if len(self._list) == 1:
            return self._list[0]
        bounds = self._bounds
        # random() is below 1, so the product is below the last bound; a weight of 0 leaves no room between two bounds.
        return self._list[bisect_right(bounds, rng.random() * bounds[-1])]

    def choose_among(self, variants: Sequence[Variant], rng: random.Random) -> Variant:
        """One of these by weight, where not all can be chosen."""
        weights = [variant.weight for variant in variants]
        return rng.choices(variants, weights if any(weights) else None)[0]


def instances_of(route: Route | None) -> list[Instance]:
    return [] if route is None else [one for variant in route.variants.values() for one in variant.instances]


def many_of(route: Route | None) -> list[ManyModels]:
    variants = [] if route is None else route.variants.values()
    return [one.many for variant in variants for one in variant.containers if one.many is not None]


def _rank(model: str, instance: str) -> bytes:
    return blake2b(f"{model}/{instance}".encode(), digest_size=8).digest()
