"""A/B conditions, each with requests that meet it and requests that do not."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from serinus.events.canary import HttpMatch, StringMatch


class Ask(Struct, frozen=True):
    """What a client asks for."""

    path: str = "/"
    headers: dict[str, str] = {}


ANYTHING = Ask()


class Conditions(Struct, frozen=True):
    """Alternatives as `analysis.match` holds them: one of them is enough."""

    match: tuple[HttpMatch, ...]
    meets: Sequence[Ask]
    misses: Sequence[Ask]


def by_headers(**headers: StringMatch) -> tuple[HttpMatch, ...]:
    return (HttpMatch(headers={k.replace("_", "-"): v for k, v in headers.items()}),)


def asks(*headers: dict[str, str]) -> list[Ask]:
    return [Ask(headers=one) for one in headers]


def either(*several: Conditions) -> Conditions:
    meets = [ask for one in several for ask in one.meets]
    return Conditions(
        tuple(match for one in several for match in one.match),
        meets,
        [ask for one in several for ask in one.misses if ask not in meets],
    )


TWO_HEADERS = Conditions(
    by_headers(X_Canary=StringMatch(exact="insider"), X_Beta=StringMatch(regex="1[.].*")),
    asks({"X-Canary": "insider", "X-Beta": "1.7"}),
    [
        ANYTHING,
        *asks(
            {"X-Canary": "insider"},
            {"X-Canary": "insiders", "X-Beta": "1.7"},
            {"X-Canary": "insider", "X-Beta": "2.1"},
        ),
    ],
)
A_COOKIE = Conditions(
    by_headers(Cookie=StringMatch(regex="^(.*?;)?( ?tester=yes)(;.*)?$")),
    asks({"Cookie": "tester=yes"}, {"Cookie": "a=b; tester=yes; c=d"}),
    [ANYTHING, *asks({"Cookie": "tester=no"}, {"X-Canary": "insider"})],
)
A_PARAMETER = Conditions(
    (HttpMatch(query_params={"beta": StringMatch(regex="yes|ja")}),),
    [Ask("/?beta=ja"), Ask("/?a=b&beta=yes")],
    [ANYTHING, Ask("/?beta=no"), Ask("/beta=yes"), Ask("/?alpha=yes")],
)
A_HEADER = Conditions(
    by_headers(X_Canary=StringMatch(exact="insider")),
    asks({"X-Canary": "insider"}),
    [ANYTHING, *asks({"X-Canary": "insiders"}, {"X-Canary": "always"}, {"X-Beta": "insider"})],
)
A_PATTERN = Conditions(
    by_headers(X_Canary=StringMatch(regex="^in.*r$")),
    asks({"X-Canary": "insider"}, {"X-Canary": "inner"}),
    [ANYTHING, *asks({"X-Canary": "insiders"}, {"X-Beta": "insider"})],
)
A_SWITCH = Conditions(
    by_headers(Cookie=StringMatch(exact="tester")),
    asks({"Cookie": "tester=always"}, {"Cookie": "a=b; tester=always"}),
    [ANYTHING, *asks({"Cookie": "tester=never"}, {"Cookie": "tester=yes"})],
)
