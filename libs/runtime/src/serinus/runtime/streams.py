"""The streams as they shall be: made where they are missing, changed where they differ.

Any service may make a stream, so that the first to start finds a working bus; only the keeper
changes it, as its permissions say.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from serinus.events.streams import KEEPER, STREAMS, Stream

log = logging.getLogger(__name__)

NAME_IN_USE = 10058


class Streams:
    """Looks after the streams and notices when they are not the ones it knew."""

    def __init__(self, service: str, replicas: int) -> None:
        self._service = service
        self._replicas = replicas
        self._known: dict[str, datetime | None] = {}
        self._lock = asyncio.Lock()

    async def ensure(self, jetstream: JetStreamContext) -> bool:
        """Every stream exists afterwards; True when one that was known had to be made anew.

        By whom does not matter: the server says when each was made. Raises nats.errors.Error.
        """
        async with self._lock:
            lost = False
            for stream in STREAMS:
                created = await self._one(jetstream, stream)
                lost = lost or self._known.get(stream.name, created) != created
                self._known[stream.name] = created
            return lost

    async def _one(self, jetstream: JetStreamContext, stream: Stream) -> datetime | None:
        wanted = self._config(stream)
        try:
            info = await jetstream.stream_info(stream.name)
        except NotFoundError:
            try:
                info = await jetstream.add_stream(wanted)
            except APIError as error:
                if error.err_code != NAME_IN_USE:
                    raise
                info = await jetstream.stream_info(stream.name)
        if self._service == KEEPER and _differs(info.config, wanted):
            await self._change(jetstream, info.config, wanted)
        return info.created

    async def _change(
        self, jetstream: JetStreamContext, live: api.StreamConfig, wanted: api.StreamConfig
    ) -> None:
        """Fields that somebody else set on purpose (placement, compression) stay."""
        changes = {name: getattr(wanted, name) for name in _OURS}
        try:
            await jetstream.update_stream(live.evolve(**changes))
        except APIError as error:
            # A working bus with other limits is better than none.
            log.warning(
                "stream keeps its limits",
                extra={"stream": wanted.name, "reason": error.description or str(error)},
            )

    def _config(self, stream: Stream) -> api.StreamConfig:
        return api.StreamConfig(
            name=stream.name,
            subjects=list(stream.subjects),
            max_msgs_per_subject=stream.max_msgs_per_subject or -1,
            max_age=float(stream.max_age_s),
            max_msgs=stream.max_msgs or -1,
            max_bytes=stream.max_bytes or -1,
            duplicate_window=float(stream.duplicate_window_s),
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            num_replicas=self._replicas,
        )


_OURS = (
    "subjects",
    "max_msgs_per_subject",
    "max_age",
    "max_msgs",
    "max_bytes",
    "duplicate_window",
    "num_replicas",
    # Words of others under subjects that are not theirs.
    "republish",
    "sources",
    "subject_transform",
)


def _differs(live: api.StreamConfig, wanted: api.StreamConfig) -> bool:
    return any((getattr(live, n) or 0) != (getattr(wanted, n) or 0) for n in _OURS)
