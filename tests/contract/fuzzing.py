"""Asks a core what its own description of the API allows and forbids, as one role, and says where they disagree.

``./dev test unit`` asks a little of each operation, the same on each change; ``python -m tests.contract.fuzzing`` asks
for long, from other seeds, and writes what it found.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks as said

from skerry.model.geography import Region
from skerry.operations import OPERATIONS, find_operation
from skerry.testing import FakeCore

#: What each role is: the arguments of ``FakeCore.make_token``; None for nobody.
ROLES: dict[str, dict[str, str] | None] = {
    "anonymous": None,
    "viewer": {"tenant_role": "viewer"},
    "deployer": {"tenant_role": "deployer"},
    "admin": {"tenant_role": "admin"},
    "operator": {"operator_role": "operator"},
}
#: An answer is a success, or a problem document with one of the statuses of interfaces.md §2.
STATUSES = frozenset((200, 201, 202, 204, 304, 400, 401, 403, 404, 408, 409, 410, 412, 413, 422, 428, 429, 501))
CHECKS = (
    schemathesis.checks.not_a_server_error,
    said.status_code_conformance,
    said.content_type_conformance,
    said.response_headers_conformance,
    said.response_schema_conformance,
)
#: Seconds that an answer may take; a stream that goes on is read to its first silence, and to so many bytes.
READ_S = 20.0
SILENCE_S = 0.05
STREAM_BYTES_MAX = 64 * 1024
STREAMS = frozenset(each.name for each in OPERATIONS if each.style in ("events", "lines"))
_MANIFEST = "name: shop\nservices:\n  web:\n    image: web:1\n"


class Town:
    """One fake core with something of everything, and a client for each role."""

    def __init__(self) -> None:
        self.core = FakeCore(sites=["oslo", "bergen"])

    def __enter__(self) -> "Town":
        self.core.__enter__()
        self.core.add_image("web:1")
        with self.core.client() as client, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "compose.yaml"
            path.write_text(_MANIFEST)
            client.apps.apply(path).rollout.wait(timeout=60)
            client.secrets.set("password", b"secret")
            client.areas.set("nordics", Region(countries=("NO", "SE")))
            client.user_groups.set("customers", [(10_750_000, 59_910_000, 3)])
            client.users.create(name="ada")
            self.known = {
                "app": "shop",
                "site": "oslo",
                "node": "node",
                "service": "web",
                "ordinal": 0,
                "secret": "password",
                "user": "ada",
                "area": "nordics",
                "network": "default",
                "chain": "none",
                "profile": "default",
                "user_group": "customers",
                "digest": client.images.show(next(iter(client.images.list())).digest).digest,
                "number": 1,
                "operation": next(iter(client.operations.list())).operation,
                "token": client.tokens.create(name="spare").view.token_id,
                "request": "01JQ8Z00000000000000000000",
            }
        return self

    def __exit__(self, *error: object) -> None:
        self.core.__exit__(None, None, None)

    def headers(self, role: str) -> dict[str, str]:
        """What a request of this role carries; a token is made for each, because one may end itself."""
        roles = ROLES[role]
        return {} if roles is None else {"Authorization": f"Bearer {self.core.make_token(**roles)}"}  # type: ignore[arg-type]


def read_schema(core: FakeCore) -> Any:
    """The description that the core itself gives."""
    schema = schemathesis.openapi.from_dict(httpx2.get(f"{core.url}/openapi.json").json())
    schema.config.update(base_url=core.url)
    return schema


def fuzz(
    town: Town, roles: Iterable[str], examples: int, *, first_seed: int | None = None
) -> tuple[Counter[str], list[str]]:
    """Ask each operation ``examples`` times in each way, as each role; return what was answered, and complaints."""
    counts, complaints = Counter[str](), dict[str, str]()
    with httpx2.Client(timeout=READ_S, trust_env=False) as client:
        for found in read_schema(town.core).get_all_operations():
            operation = found.ok()
            name = operation.definition.raw["operationId"]
            headers = {role: town.headers(role) for role in roles}
            known = {word: town.known[word] for word in find_operation(name).parameters}

            ask = _make_asker(client, town.core.url, name, headers, counts, complaints)
            # What is there, asked rightly and wrongly; and what is not there.
            ways = [(GenerationMode.POSITIVE, known), (GenerationMode.NEGATIVE, known)]
            for mode, parameters in ways + ([(GenerationMode.POSITIVE, {})] if known else []):
                more = {"path_parameters": parameters} if parameters else {}
                _draw(operation.as_strategy(generation_mode=mode, **more), ask, examples, first_seed)
    return counts, [*complaints.values()]


def _make_asker(
    client: httpx2.Client,
    url: str,
    name: str,
    headers: Mapping[str, dict[str, str]],
    counts: Counter[str],
    complaints: dict[str, str],
) -> Callable[[Any], None]:
    def ask(case: Any) -> None:
        for role in headers:
            answer = send(client, url, case, headers[role])
            counts[f"{role} {answer.status_code}"] += 1
            for complaint in judge(case, answer, name in STREAMS):
                complaints.setdefault(f"{name} {complaint[:60]}", f"{role} {name}: {complaint}")

    return ask


def _draw(strategy: Any, ask: Callable[[Any], None], examples: int, first_seed: int | None) -> None:
    run = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=first_seed is None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )(given(case=strategy)(ask))
    # An operation without a body and a query cannot be asked wrongly.
    with contextlib.suppress(Unsatisfiable):
        (run if first_seed is None else seed(first_seed)(run))()


def send(client: httpx2.Client, url: str, case: Any, headers: dict[str, str]) -> httpx2.Response:
    """Send one request; of a stream that goes on, what comes until it is silent."""
    words = case.as_transport_kwargs(base_url=url)
    sent = {name: value for name, value in dict(words.get("headers") or {}).items() if name.lower() != "authorization"}
    request = client.build_request(
        words["method"],
        words["url"],
        params=words.get("params") or None,
        headers={name: str(value).encode() for name, value in (sent | headers).items()},
        cookies=words.get("cookies") or None,
        **({"json": words["json"]} if "json" in words else {"content": words.get("data") or b""}),
    )
    endless = case.operation.definition.raw["operationId"] in STREAMS
    response = client.send(request, stream=True)
    if endless:
        # From here on: a busy machine may take its time until an answer begins.
        request.extensions["timeout"]["read"] = SILENCE_S
    content = bytearray()
    try:
        for chunk in response.iter_bytes():
            content += chunk
            if endless and len(content) > STREAM_BYTES_MAX:
                break
    except httpx2.ReadTimeout:
        if not endless:
            raise
    finally:
        response.close()
    response._content = bytes(content)
    return response


def judge(case: Any, answer: httpx2.Response, stream: bool) -> list[str]:
    """Say what of an answer is not as described."""
    status = answer.status_code
    found: list[str] = []
    if status not in STATUSES and not (status == 503 and "retry-after" in answer.headers):
        found.append(f"status {status} is none of ours: {case.as_curl_command()} {answer.text[:300]}")
    if status >= 400 and answer.request.method != "HEAD":
        problem = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
        if problem.get("status") != status or not str(problem.get("code", "")).startswith("E-"):
            found.append(f"{status} without a problem document: {answer.text[:300]}")
    if stream and status == 200:
        return found
    try:
        case.validate_response(answer, checks=list(CHECKS))
    except FailureGroup as group:
        found += [f"{type(each).__name__}: {each}: {case.as_curl_command()}" for each in group.exceptions]
    except Failure as failure:
        found.append(f"{failure}: {case.as_curl_command()}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--role", choices=ROLES, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows, all_complaints = [], []
    for number in range(options.first_seed, options.first_seed + options.seeds):
        started = time.monotonic()
        with Town() as town:
            counts, complaints = fuzz(town, options.role or ROLES, options.examples, first_seed=number)
        all_complaints += complaints
        asked, seconds = sum(counts.values()), time.monotonic() - started
        print(f"seed {number}: {asked} requests in {seconds:.0f} s, {len(complaints)} complaints", flush=True)
        rows.append({"seed": number, "asked": asked, "answers": dict(sorted(counts.items())), "complaints": complaints})
    print("\n".join(all_complaints))
    if options.json:
        options.json.write_text(json.dumps({"examples": options.examples, "rows": rows}, indent=2) + "\n")
    return int(bool(all_complaints))


if __name__ == "__main__":
    sys.exit(main())
