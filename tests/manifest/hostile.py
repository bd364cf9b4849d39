"""Files that mean harm, and a program that reads them all under a limit of memory and prints what became of each."""

import json
import resource
from pathlib import Path

from skerry.manifest.load import load_manifest
from skerry.manifest.values import Rejected

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]\n" for level in range(9)
)

#: Each as long as it takes to meet the limit that it is for; what stops at once is longer.
FILES = {
    "billion laughs": LAUGHS.encode(),
    "merged laughs": b"a: &a {b: {c: 1}}\n"
    + b"".join(b"m%d: {<<: [%s]}\n" % (i, b",".join([b"*a"] * 90)) for i in range(3)),
    "long text by alias": b"a: &a '" + b"x" * 200_000 + b"'\nb: [" + b",".join([b"*a"] * 100) + b"]",
    "deep by alias": b"a: &a " + b"[" * 20 + b"]" * 20 + b"\nb: " + b"[" * 20 + b"*a" + b"]" * 20,
    "a million open brackets": b"[" * 10**6,
    "a million open braces": b"{" * 10**6,
    "half a million dashes": b"- " * 500_000,
    "half a million question marks": b"? " * 500_000,
    "a staircase": b"".join(b" " * depth + b"-\n" for depth in range(1400)),
    "escapes": b'a: "' + b"\\u1234" * 90_000 + b'"',
    "line breaks": b"a: '" + b"\n" * 270_000 + b"'",
    "a folded block": b"a: >\n" + b" x\n" * 135_000,
    "keys": b"".join(b"k%d: v\n" % index for index in range(11_000)),
    "items": b"a: [" + b"1," * 21_000,
    "anchors": b"".join(b"- &a%d x\n" % index for index in range(21_000)),
    "documents": b"---\n" * 250_000,
    "aliases": b"a: &a 1\nb: [" + b"*a," * 300_000 + b"]",
    "a long key": b"x" * 1000 + b": 1",
    "a long tag": b"!" * 10**6,
    "many tags": b"".join(b"- !%s x\n" % (b"a" * 100) for _ in range(9_000)),
    "a scalar of 100 MB": b"a: " + b"x" * 100_000_000,
    "the most that is read": b"services:\n  web:\n    image: x\n"
    + b"".join(b"    x%d: [%s]\n" % (index, b",".join([b"a"] * 90)) for index in range(200)),
    "values by variables": b"services: {w: {image: x, labels: {a: '%s'}}}" % (b"$A" * 900),
    "a cycle": b"a: &a [*a]",
    "a chain of services": b"services:\n  s0: {image: x}\n"
    + b"".join(
        b"  s%d: {extends: s%d, labels: {%s}}\n"
        % (index, index - 1, b", ".join(b"k%d: v" % (100 * index + number) for number in range(100)))
        for index in range(1, 95)
    ),
    "services that extend each other": b"services: {"
    + b", ".join(b"s%d: {extends: s%d}" % (index, (index + 1) % 900) for index in range(900))
    + b"}",
    "a file that includes itself": b"include: [" + b", ".join(b"x.yaml" for _ in range(5_000)) + b"]\nservices: {}",
    "not text": bytes(range(256)) * 4000,
    "wide letters": "a: '{}'".format("\U0001f600" * 70_000).encode(),
}


def allow_memory(size):
    """Let this process take at most ``size`` bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main():
    load_manifest([("x.yaml", b"services: {web: {image: x, tty: z}}")], {})  # loads whatever is loaded late
    allow_memory(64 * 2**20)
    for name, content in FILES.items():
        result = load_manifest([("x.yaml", content)], {"A": "x" * 100_000})
        codes = sorted({one.code for one in result.problems}) if isinstance(result, Rejected) else []
        print(json.dumps([name, type(result).__name__, codes]))


if __name__ == "__main__":
    main()
