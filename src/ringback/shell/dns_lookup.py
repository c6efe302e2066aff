"""DNS questions with a bounded cache, one question at a time for the same name, and typed failures.

dnspython asks; this keeps what it learnt as long as the records say, remembers that a name has no records
(RFC 2308) and, for a moment, that the servers do not answer, so that a dead server does not hold up every call.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver

from .timers import Clock, MonotonicClock

CACHE_ENTRIES: Final = 10_000  # names times record types; some 10 MB when full
RECORDS_MAX: Final = (
    32  # of one answer; a SIP service with more servers than that does not need us to know all
)
LONGEST_TTL: Final = 3_600.0  # seconds; an hour, so that a changed server is found without a restart
LONGEST_NEGATIVE_TTL: Final = 60.0  # seconds; a name that is just being set up appears within a minute
FAILURE_TTL: Final = 5.0  # seconds; RFC 2308 section 7 allows up to 5 minutes
QUESTIONS_MAX: Final = 500  # open at once; each has a socket
QUESTION_TIMEOUT: Final = 3.0  # seconds for one question, all servers and repeats together
REREAD_AFTER: Final = 30.0  # seconds between looks at resolv.conf when servers do not answer

FailureKind = Literal["invalid", "unsupported", "not-found", "timeout", "server-failure"]


class ResolutionFailed(Exception):
    """A name or URI has no address to send to; `kind` says why.

    invalid         the name cannot be a name
    unsupported     the URI's scheme or transport is not one of ours
    not-found       there is no such name, or it has no records
    timeout         no answer in time
    server-failure  the name servers answered that they cannot
    """

    def __init__(self, target: str, kind: FailureKind, detail: str = "") -> None:
        super().__init__(f"{target}: {detail or kind}")
        self.target = target
        self.kind: FailureKind = kind


class _Answer(NamedTuple):
    records: tuple[dns.rdata.Rdata, ...]
    failure: tuple[FailureKind, str] | None
    ttl: float


class Lookups:
    """The DNS as we see it. `nameservers` are (IP, port); None takes the system's."""

    def __init__(
        self, nameservers: Sequence[tuple[str, int]] | None = None, *, clock: Clock | None = None
    ) -> None:
        self._clock: Clock = clock or MonotonicClock()
        self._from_system = nameservers is None
        self._read_at = self._clock.now()
        if nameservers is None:
            self._resolver = _system_resolver()
        else:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in nameservers]
        self._resolver.lifetime = QUESTION_TIMEOUT
        self._cache: OrderedDict[tuple[str, str], tuple[float, _Answer]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[_Answer]] = {}

    async def lookup(self, name: str, kind: str) -> tuple[dns.rdata.Rdata, ...]:
        """Records of `kind` ("A", "AAAA", "SRV", "NAPTR") at `name`, CNAMEs followed; empty when there are none.

        Raises ResolutionFailed when that could not be found out.
        """
        key = (name.rstrip(".").lower(), kind)
        answer = self._remembered(key)
        if answer is None:
            task = self._asking.get(key)
            if task is None:
                if len(self._asking) >= QUESTIONS_MAX:
                    raise ResolutionFailed(name, "server-failure", "too many questions are open")
                task = self._asking[key] = asyncio.create_task(self._ask(key), name=f"dns {kind}")
                task.add_done_callback(lambda _, key=key: self._asking.pop(key, None))  # type: ignore[misc]
            answer = await asyncio.shield(task)  # others may wait for the same answer
        if answer.failure is not None:
            raise ResolutionFailed(name, *answer.failure)
        return answer.records

    async def close(self) -> None:
        """Give up the questions that are open."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remembered(self, key: tuple[str, str]) -> _Answer | None:
        known = self._cache.get(key)
        if known is None:
            return None
        if known[0] <= self._clock.now():
            del self._cache[key]
            return None
        self._cache.move_to_end(key)
        return known[1]

    async def _ask(self, key: tuple[str, str]) -> _Answer:
        answer = await self._question(*key)
        if answer.ttl > 0:
            self._cache[key] = (self._clock.now() + answer.ttl, answer)
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        return answer

    async def _question(self, name: str, kind: str) -> _Answer:
        try:
            # Absolute: the search list is for people who type, not for URIs.
            qname = dns.name.from_text(name + ".")
            answer = await self._resolver.resolve(qname, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            return _Answer((), None, min(_negative_ttl(error), LONGEST_NEGATIVE_TTL))
        except (
            dns.name.LabelTooLong,
            dns.name.EmptyLabel,
            dns.name.NameTooLong,
            dns.name.BadEscape,
        ) as error:
            return _Answer((), ("invalid", type(error).__name__), FAILURE_TTL)
        except dns.name.IDNAException as error:
            return _Answer((), ("invalid", str(error)), FAILURE_TTL)
        except dns.exception.Timeout:
            self._reread()
            return _Answer((), ("timeout", "the name servers do not answer"), FAILURE_TTL)
        except dns.resolver.NoNameservers:
            self._reread()
            return _Answer((), ("server-failure", "no name server can tell its address"), FAILURE_TTL)
        except (dns.exception.DNSException, OSError) as error:
            self._reread()
            return _Answer((), ("server-failure", type(error).__name__), FAILURE_TTL)
        ttl = float(answer.chaining_result.minimum_ttl)
        if answer.rrset is None:
            return _Answer((), None, min(ttl, LONGEST_NEGATIVE_TTL))
        return _Answer(tuple(answer.rrset)[:RECORDS_MAX], None, min(ttl, LONGEST_TTL))

    def _reread(self) -> None:
        """A machine that has moved to another network has other name servers."""
        now = self._clock.now()
        if self._from_system and now - self._read_at > REREAD_AFTER:
            self._read_at = now
            self._resolver = _system_resolver()
            self._resolver.lifetime = QUESTION_TIMEOUT


def _system_resolver() -> dns.asyncresolver.Resolver:
    try:
        return dns.asyncresolver.Resolver()
    except (dns.resolver.NoResolverConfiguration, OSError):
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = []
        return resolver


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    responses: dict[Any, Any] = error.kwargs.get("responses", {})
    for response in responses.values():
        if isinstance(response, dns.message.QueryMessage):
            try:
                return float(response.resolve_chaining().minimum_ttl)
            except dns.exception.DNSException:
                continue
    return FAILURE_TTL


class HostsFile:
    """Names of /etc/hosts, read again when the file changes; people expect them to work."""

    def __init__(self, path: str = "/etc/hosts") -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._names: dict[str, list[str]] = {}

    def addresses(self, name: str) -> list[str]:
        """IP addresses that the file gives to `name`, in the file's order; [] when it does not name it."""
        self._refresh()
        return self._names.get(name.rstrip(".").lower(), [])

    def _refresh(self) -> None:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            with open(self._path, encoding="utf-8", errors="replace") as file:
                text = file.read(1_000_000)
        except OSError:
            self._names = {}
            return
        names: dict[str, list[str]] = {}
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) > 1 and _is_address(words[0]):
                for name in words[1:]:
                    names.setdefault(name.lower(), []).append(words[0])
        self._names = names


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
