"""The router: shares by weight, choice by load, errors as the SageMaker runtime words them, other tries after deaths."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Key
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.faults import Place
from colonnade.serving.frames import Answer, Request
from colonnade.serving.instances import Instance
from colonnade.serving.router import Invocation, Router
from colonnade.serving.routes import Container, Counters, Route, Variant

KEY = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "demo")
PLACE = Place("123456789012", "us-east-1", "Demo")
ROW = Invocation(b"1,2", "text/csv")


class Fake:
    """An instance that answers as told."""

    def __init__(self, answer: Callable[[Request], Answer] | None = None) -> None:
        self.alive, self.outstanding, self.drained, self.asked = True, 0, False, 0
        self.name = f"fake-{id(self)}"
        self._answer = answer or (lambda request: Answer(200, b"ok", "text/csv"))

    async def ask(self, request: Request) -> Answer:
        self.asked += 1
        return self._answer(request)

    def drain(self) -> None:
        self.drained = True


class Dying(Fake):
    """Goes under every call, and is not there any more afterwards."""

    def __init__(self, *, suspect: bool = True) -> None:
        super().__init__()
        self._suspect = suspect

    async def ask(self, request: Request) -> Answer:
        self.asked += 1
        self.alive = False
        raise ReplicaLost(suspect=self._suspect)


class Silent(Fake):
    async def ask(self, request: Request) -> Answer:
        return await asyncio.get_running_loop().create_future()


def alone(
    name: str, weight: float, instances: Sequence[Instance], *, random_routing: bool = False
) -> Variant:
    """A variant of one container."""
    return Variant(name, weight, [Container("primary", instances, random_routing=random_routing)])


def router(*variants: Variant, seed: int = 1, deadline: float = 5.0) -> Router:
    made = Router(seed=seed, deadline=deadline)
    made.install(KEY, Route(PLACE, 1, variants))
    return made


def invoked(made: Router, times: int, invocation: Invocation = ROW) -> Counter[str]:
    async def calls() -> list[str]:
        return [(await made.invoke(KEY, invocation)).variant for _ in range(times)]

    return Counter(asyncio.run(calls()))


def refusal(made: Router, invocation: Invocation = ROW) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        asyncio.run(made.invoke(KEY, invocation))
    return refused.value


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ((1.0, 1.0, 2.0), (0.25, 0.25, 0.5)),
        ((0.9, 0.1), (0.9, 0.1)),
        ((0.0, 5.0), (0.0, 1.0)),
        ((0.0, 0.0), (0.5, 0.5)),
    ],
)
def test_variants_get_their_shares_within_five_sigma(
    weights: tuple[float, ...], shares: tuple[float, ...]
) -> None:
    made = router(*(alone(str(i), weight, [Fake()]) for i, weight in enumerate(weights)))
    calls = 20_000

    seen = invoked(made, calls)

    for i, share in enumerate(shares):
        assert abs(seen[str(i)] - share * calls) <= 5 * math.sqrt(calls * share * (1 - share))


def test_equal_seeds_choose_equally_and_choices_are_independent() -> None:
    def sequence(seed: int) -> list[str]:
        made = router(alone("a", 1, [Fake()]), alone("b", 1, [Fake()]), seed=seed)

        async def calls() -> list[str]:
            return [(await made.invoke(KEY, ROW)).variant for _ in range(2000)]

        return asyncio.run(calls())

    first = sequence(7)

    assert first == sequence(7) != sequence(8)
    repeats = sum(one == other for one, other in pairwise(first))
    assert abs(repeats - 999.5) <= 5 * math.sqrt(1999 / 4)


def test_the_replica_with_the_fewest_unanswered_calls_is_taken_and_equals_take_turns() -> None:
    busy, one, other = Fake(), Fake(), Fake()
    busy.outstanding = 3
    made = router(alone("a", 1, [busy, one, other]))

    invoked(made, 10)

    assert (busy.asked, one.asked, other.asked) == (0, 5, 5)


def test_random_routing_minds_no_load() -> None:
    busy, idle = Fake(), Fake()
    busy.outstanding = 100
    made = router(alone("a", 1, [busy, idle], random_routing=True))

    invoked(made, 1000)

    assert abs(busy.asked - 500) <= 5 * math.sqrt(250)


def test_a_call_whose_replica_dies_is_answered_by_another() -> None:
    made = router(alone("a", 1, [Dying(), Fake()]))

    assert invoked(made, 3) == {"a": 3}


def test_a_call_waits_for_the_replacement_of_the_only_replica() -> None:
    made = router(alone("a", 1, [Dying()]))

    async def replaced() -> bytes:
        call = asyncio.create_task(made.invoke(KEY, ROW))
        await asyncio.sleep(0)
        made.install(KEY, Route(PLACE, 2, [alone("a", 1, [Fake()])]))
        return (await call).body

    assert asyncio.run(replaced()) == b"ok"


def test_a_call_that_is_under_two_dying_replicas_is_a_model_error_and_one_behind_it_is_not() -> None:
    suspected = refusal(router(alone("a", 1, [Dying(), Dying(), Fake()])))
    behind = invoked(
        router(alone("a", 1, [Dying(suspect=False), Dying(suspect=False), Dying(suspect=False), Fake()])), 1
    )

    assert (suspected.code, suspected.members["OriginalStatusCode"]) == ("ModelError", 500)
    assert "twice" in suspected.message
    assert behind == {"a": 1}


def test_no_answer_in_time_is_a_model_error_with_status_0_and_the_text_of_a_time_out() -> None:
    refused = refusal(router(alone("a", 1, [Silent()]), deadline=0.05))

    assert (refused.code, refused.status) == ("ModelError", 424)
    assert refused.message.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a response from '
        "container primary. "
    )
    assert refused.members["OriginalStatusCode"] == 0


def test_no_instance_in_time_is_service_unavailable() -> None:
    refused = refusal(router(alone("a", 1, [Dying(suspect=False)]), deadline=0.05))

    assert (refused.code, refused.status) == ("ServiceUnavailable", 503)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "client"), (415, "client"), (500, "server"), (503, "server"), (302, "server")]
)
def test_what_the_model_answers_above_299_is_told_in_sagemakers_words(status: int, kind: str) -> None:
    made = router(alone("a", 1, [Fake(lambda request: Answer(status, b"bad row", "text/plain"))]))

    refused = refusal(made)

    assert refused.message == (
        f'Received {kind} error ({status}) from primary with message "bad row". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
        "group=/aws/sagemaker/Endpoints/Demo in account 123456789012 for more information."
    )
    assert refused.members == {
        "OriginalStatusCode": status,
        "OriginalMessage": "bad row",
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/Demo",
    }


def test_an_oversized_error_body_is_left_out_of_the_message() -> None:
    refused = refusal(router(alone("a", 1, [Fake(lambda request: Answer(500, b"x" * 1_000_000))])))

    assert "and could not load the entire response body." in refused.message
    assert len(refused.members["OriginalMessage"]) == 64 * 1024


def test_an_unknown_endpoint_is_named_as_the_caller_wrote_it() -> None:
    with pytest.raises(ServiceError) as refused:
        asyncio.run(Router().invoke(KEY, ROW, name="Demo"))

    assert (refused.value.code, refused.value.status) == ("ValidationError", 400)
    assert refused.value.message == "Endpoint Demo of account 123456789012 not found."


def test_counters_are_taken_once_and_outlive_a_change_of_routes() -> None:
    answers = iter([200, 404, 500])
    fake = Fake(lambda request: Answer(next(answers), b""))
    made = router(alone("a", 1, [fake]))
    invoked(made, 1)
    made.install(KEY, Route(PLACE, 2, [alone("a", 0.5, [fake])]))
    refusal(made)
    refusal(made)

    taken = made.take_counters()[KEY, "a"]
    total = Counters()
    total.add(taken)
    total.add(taken)

    assert (taken.invocations, taken.client_errors, taken.server_errors) == (3, 1, 1)
    assert taken.latency.sum > 0
    assert total.invocations == 6
    assert made.take_counters() == {}


def test_instances_that_a_new_route_leaves_out_are_drained_and_the_others_are_kept() -> None:
    kept, left = Fake(), Fake()
    made = router(alone("a", 1, [kept, left]))

    made.install(KEY, Route(PLACE, 2, [alone("a", 1, [kept])]))
    assert (kept.drained, left.drained) == (False, True)
    made.remove(KEY)

    assert kept.drained
    assert refusal(made).code == "ValidationError"


def chain(*answers: Callable[[Request], Answer], direct: bool = False, deadline: float = 5.0) -> Router:
    containers = [Container(f"c{number}", [Fake(answer)]) for number, answer in enumerate(answers)]
    return router(Variant("a", 1, containers, direct=direct), deadline=deadline)


def says(text: str, kind: str = "text/csv", status: int = 200) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        asked = f"{request.body.decode()}|{request.content_type}|{request.accept}"
        return Answer(status, f"{text}({asked})".encode(), kind)

    return answer


def test_each_container_is_asked_what_the_one_before_answered_and_only_the_last_learns_what_the_caller_accepts() -> (
    None
):
    made = chain(says("one", "application/json"), says("two", "text/plain"), says("three"))

    answer = asyncio.run(made.invoke(KEY, Invocation(b"x", "text/csv", "application/jsonlines")))

    assert answer.body == b"three(two(one(x|text/csv|)|application/json|)|text/plain|application/jsonlines)"
    assert answer.content_type == "text/csv"
    assert list(made.totals()[KEY, "a"].containers) == ["c0", "c1", "c2"]


def test_the_first_container_that_refuses_is_named_and_ends_the_chain() -> None:
    made = chain(says("one"), says("no", "text/plain", 415), says("three"))

    refused = refusal(made)

    assert refused.message.startswith('Received client error (415) from c1 with message "no(one(')
    assert made.totals()[KEY, "a"].client_errors == 1


def test_a_container_that_is_too_slow_is_named() -> None:
    variant = Variant("a", 1, [Container("c0", [Fake()]), Container("c1", [Silent()])])

    refused = refusal(router(variant, deadline=0.05))

    assert "from c1 with message" in refused.message
    assert "from container c1." in refused.message


def test_a_direct_call_reaches_the_container_it_names_and_no_other() -> None:
    made = chain(says("one"), says("two"), direct=True)

    answer = asyncio.run(made.invoke(KEY, ROW._replace(target_container="c1")))

    assert answer.body == b"two(1,2|text/csv|)"
    assert "give one of c0, c1" in refusal(made).message
    assert "c7 is none of its containers" in refusal(made, ROW._replace(target_container="c7")).message
    serial = refusal(chain(says("one"), says("two")), ROW._replace(target_container="c1"))
    assert (serial.code, serial.status) == ("ValidationError", 400)
    assert made.totals()[KEY, "a"].server_errors == 0


def named(name: str, instance: Fake) -> Fake:
    instance.name = name
    return instance


def test_an_instance_that_only_fails_is_left_out_and_the_callers_hardly_notice() -> None:
    good = named("good", Fake())
    bad = named("bad", Fake(lambda request: Answer(500, b"broken")))
    made = router(alone("a", 1, [good, bad]))

    async def calls() -> int:
        failed = 0
        for _ in range(200):
            try:
                await made.invoke(KEY, ROW)
            except ServiceError:
                failed += 1
        return failed

    failed = asyncio.run(calls())

    print(f"{failed} of 200 calls failed")
    assert failed == bad.asked == 5


def test_a_slow_instance_gets_few_of_the_calls_that_follow_each_other() -> None:
    class Slow(Fake):
        async def ask(self, request: Request) -> Answer:
            await asyncio.sleep(0.05)
            return await super().ask(request)

    slow = named("slow", Slow())
    made = router(alone("a", 1, [named("one", Fake()), slow, named("two", Fake())]))

    assert invoked(made, 300) == {"a": 300}
    assert slow.asked < 30


def test_calls_that_shared_a_dying_server_are_asked_again_one_at_a_time_so_that_only_the_guilty_one_fails() -> (
    None
):
    """A server that works on many calls at once, and dies under one of them each time."""

    class Crowded(Fake):
        def __init__(self) -> None:
            super().__init__()
            self.inside: list[asyncio.Future[Answer]] = []
            self.deaths = 0

        async def ask(self, request: Request) -> Answer:
            self.asked += 1
            mine: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self.inside.append(mine)
            if request.body == b"poison":
                await asyncio.sleep(0.01)
                self.deaths += 1
                dead, self.inside = self.inside, []
                for each in dead:
                    if not each.done():
                        each.set_exception(ReplicaLost(suspect=True, among=len(dead)))
            else:
                asyncio.get_running_loop().call_later(
                    0.03, lambda: mine.done() or mine.set_result(Answer(200, b"ok"))
                )
            return await mine

    server = Crowded()
    made = router(alone("a", 1, [server]))

    async def calls() -> list[object]:
        bodies = [b"poison" if number == 5 else b"row" for number in range(20)]
        return await asyncio.gather(
            *(made.invoke(KEY, ROW._replace(body=body)) for body in bodies), return_exceptions=True
        )

    found = asyncio.run(calls())

    failed = [result for result in found if isinstance(result, BaseException)]
    assert server.deaths == 2
    assert len(failed) == 1
    assert isinstance(found[5], ServiceError)
    assert "twice" in found[5].message
