"""A walk through the standard library and the language, for the breadth of the interpreter below it."""
import asyncio
import collections
import dataclasses
import datetime
import decimal
import fractions
import functools
import hashlib
import heapq
import io
import itertools
import json
import math
import random
import re
import statistics
import struct
import sys
import textwrap
import time

doc = {"name": "wasmrun", "numbers": [1, -2.5, 1e300, 0.1], "nested": {"ok": True, "none": None}, "text": "snow ☃ and \"quotes\"\n"}
text = json.dumps(doc, sort_keys=True)
print(text, json.loads(text) == doc)
print(json.dumps(doc, indent=1, ensure_ascii=False).count("\n"))

log = "\n".join(f"10.0.{i % 7}.{i} - GET /item/{i * i % 31}?q={i:x} {200 + i % 3}" for i in range(300))
pattern = re.compile(r"^(?P<ip>(?:\d+\.){3}\d+) - (?P<verb>[A-Z]+) /item/(?P<id>\d+)\?q=(?P<q>[0-9a-f]+) (?P<code>20[0-9])$", re.M)
hits = collections.Counter(int(m["id"]) for m in pattern.finditer(log))
print(len(pattern.findall(log)), hits.most_common(4), re.sub(r"(\w)(\w*)", lambda m: m[2] + m[1] + "ay", "pig latin is fun"))
print(re.split(r"[;,]\s*", "a, b;c,d"), re.fullmatch(r"(a|ab)(c|bcd)(d*)", "abcd").groups(), re.search(r"(?<=\$)\d+(?!\d|\.)", "cost $12.5 $77"))

data = bytes(range(256)) * 257
for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
    print(name, hashlib.new(name, data).hexdigest()[:32])

decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), (1 + decimal.Decimal(1) / 10**20) ** 7)
print(fractions.Fraction(355, 113) - fractions.Fraction(22, 7), math.gcd(2**200 - 1, 2**120 - 1), pow(3, 10**30, 10**40 + 121))
print(2**521 - 1, math.isqrt(10**81), math.comb(200, 100) % 1_000_000_007)
print(repr(0.1 + 0.2), 1e16 + 1, float("inf") - 1, math.fsum([0.1] * 10), math.sin(1e22), math.gamma(5.5), (2.5).hex(), round(2.675, 2))
print(struct.pack("<hIqd", -2, 3, -(2**40), math.pi).hex(), statistics.stdev([1, 2, 4, 8, 16]))


@dataclasses.dataclass(order=True, frozen=True)
class Point:
    x: int
    y: int = 0

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)


print(functools.reduce(Point.__add__, (Point(i, i * i) for i in range(50))), sorted([Point(2), Point(1, 5), Point(1, 2)]))


def primes():
    found = {}
    for n in itertools.count(2):
        p = found.pop(n, None)
        if p is None:
            yield n
            found[n * n] = n
        else:
            step = n + p
            while step in found:
                step += p
            found[step] = p


print(list(itertools.islice(primes(), 25)), next(itertools.islice(primes(), 1999, None)))

rng = random.Random(42)
sample = [rng.randrange(10**6) for _ in range(2000)]
heap = list(sample)
heapq.heapify(heap)
print([heapq.heappop(heap) for _ in range(5)], sorted(sample) == [*heapq.merge(sorted(sample[::2]), sorted(sample[1::2]))], rng.random(), rng.gauss(0, 1))


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


try:
    deep(10**6)
except RecursionError as e:
    print("RecursionError:", e)
try:
    try:
        [][1]
    finally:
        {}["missing"]
except KeyError as e:
    print(repr(e), repr(e.__context__))
try:
    raise ExceptionGroup("both", [ValueError(1), TypeError("t")])
except* ValueError as group:
    print(group.exceptions)
except* TypeError as group:
    print(group.exceptions)


async def worker(queue, done):
    while (item := await queue.get()) is not None:
        await asyncio.sleep(0)
        done.append(item * item)


match json.loads('{"kind": "circle", "r": 2}'):
    case {"kind": "circle", "r": r} if r > 1:
        print(f"big circle {r=} {math.pi * r**2:.4f} {r!r:>5} {1234567.891:,.2f} {255:#010b}")
    case _:
        print("other")


def step_by_hand(coroutine):
    # No event loop: its self-pipe wants sockets, which the platform has not.
    try:
        while True:
            coroutine.send(None)
    except StopIteration as e:
        return e.value


async def gather():
    total = 0
    async for x in agen():
        total += x
    return total


async def agen():
    for i in range(10):
        await asyncio.sleep(0)
        yield i


print(step_by_hand(gather()))
print(datetime.date(2024, 2, 28) + datetime.timedelta(days=2), datetime.datetime.fromtimestamp(86400 * 365.25 * 30, datetime.timezone.utc).isoformat())
print(textwrap.fill("the quick brown fox jumps over the lazy dog " * 3, 40))
out = io.StringIO()
print(*map(str.upper, "ßtraße ŉ ﬁ".split()), "ẞ".casefold(), "e\u0301" == "é", file=out)
print(out.getvalue().strip(), "naïve ☃ 𝒳".encode("utf-16-le").hex())

before = time.monotonic()
time.sleep(0.02)
print("slept", time.monotonic() - before >= 0.02, "the clock is set", time.time() > 1_600_000_000, sys.platform, sys.maxsize)
