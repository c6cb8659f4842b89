"""Asking a hook: the POST of the reference (6.1, 6.2), its retries, and its failure texts.

A hook may have a method, headers, a body and a bearer token of its own; Flagger knows none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from serinus.analyzer.core.rollout import HookAnswer, HookAsk
from serinus.analyzer.shell.loadtester import Credentials
from serinus.events import CanaryRef, Webhook
from serinus.events.canary import duration_s
from serinus.runtime import redact
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered

DEFAULT_TIMEOUT_S = 10.0
BACKOFF_MAX_S = 30.0
RETRY_AFTER_MAX_S = 60.0
ANSWER_MAX = 1000


def payload(ask: HookAsk, canary: CanaryRef) -> bytes:
    """The body that receivers of Flagger's hooks know; `metadata` only where the hook has some."""
    body: dict[str, object] = {
        "name": canary.name,
        "namespace": canary.namespace,
        "phase": ask.phase,
        "checksum": ask.checksum,
    }
    if ask.hook.metadata is not None:
        body["metadata"] = ask.hook.metadata
    return msgspec.json.encode(body)


def request(
    ask: HookAsk, canary: CanaryRef, token: str = "", ours: Credentials | None = None
) -> HttpRequest:
    """What is sent, with `token` as bearer, else with what fits of ours.

    Raises ValueError for a timeout that is no duration.
    """
    hook = ask.hook
    body = hook.body.encode() if hook.body else payload(ask, canary)
    method = hook.method or "POST"
    headers = {"Content-Type": "application/json", **hook.headers}
    if ours is not None and (token or not ours.fit(hook)):
        ours = None
    token = ours.token if ours else token
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return HttpRequest(
        method=method,
        url=ask.hook.url,
        headers=headers,
        body=b"" if method == "GET" else body,
        timeout_s=_timeout_s(ask.hook),
        verify_tls=not ask.hook.disable_tls,
        redirects=ours is None,
        identity=ours.identity if ours else None,
    )


def _timeout_s(hook: Webhook) -> float:
    if len(hook.timeout) < 2:
        return DEFAULT_TIMEOUT_S
    seconds = duration_s(hook.timeout)
    if seconds is None or seconds <= 0:
        raise ValueError(f'time: invalid duration "{hook.timeout}"')
    return seconds


def passed(status: int) -> bool:
    """Any 2xx; Flagger takes a 204, which says that there is nothing to say, for a failure."""
    return 200 <= status < 300


def is_retried(status: int) -> bool:
    return status == 429 or (status >= 500 and status != 501)


def backoff_s() -> Iterator[float]:
    """1, 2, 4 ... seconds, at most BACKOFF_MAX_S."""
    wait = 1.0
    while True:
        yield wait
        wait = min(BACKOFF_MAX_S, wait * 2)


def retry_after_s(answer: HttpResponse) -> float | None:
    """How long the receiver asks to be left alone, bounded; None where it does not say."""
    if answer.status not in (429, 503):
        return None
    wish = next((v for k, v in answer.headers.items() if k.lower() == "retry-after"), "")
    return min(float(wish), RETRY_AFTER_MAX_S) if wish.isdigit() else None


def gave_up(method: str, url: str, attempts: int, error: Unanswered | None) -> str:
    """Why nobody will ask again, in the reference's words."""
    text = f"{method} {url} giving up after {attempts} attempt(s)"
    if error is None:
        return text
    why = str(error).removeprefix(f"{method} {url}: ")
    # Flagger's words for a timeout, which people search for.
    cause = "context deadline exceeded" if why.startswith("no answer within") else why
    return f'{text}: {method.capitalize()} "{url}": {cause}'


async def ask_hook(
    ask: HookAsk,
    canary: CanaryRef,
    http: Http,
    clock: Clock,
    token: str = "",
    ours: Credentials | None = None,
) -> HookAnswer:
    """What the hook says, after its retries. Never raises: no answer is a failure with a text.

    Our own load tester may ask to come back later, which says nothing about the release: within
    the hook's timeout that is done, and is not one of its retries.
    """
    try:
        wanted = request(ask, canary, token, ours)
    except ValueError as error:
        return HookAnswer(key=ask.key, passed=False, text=str(error))
    url, attempts = redact.url(ask.hook.url), 0
    patience_s = wanted.timeout_s if ours is not None and ours.fit(ask.hook) else 0.0
    for wait in backoff_s():
        attempts += 1
        failure: Unanswered | None = None
        try:
            answer = await http.send(wanted)
        except Unanswered as error:
            failure = error
        else:
            if not is_retried(answer.status):
                text = "" if passed(answer.status) else answer.text[:ANSWER_MAX]
                return HookAnswer(key=ask.key, passed=passed(answer.status), text=text)
            wish = retry_after_s(answer)
            wait = wish or wait
            if wish and wish <= patience_s:
                patience_s -= wish
                attempts -= 1
        if attempts > ask.hook.retries:
            break
        await clock.sleep(wait)
    return HookAnswer(
        key=ask.key, passed=False, text=gave_up(wanted.method, url, attempts, failure)
    )
