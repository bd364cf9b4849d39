"""Many power cuts from the command line: `python -m tests.powercut.run --cuts N --seed S --json FILE`.

Each store gets N cuts; the states of the durable files are enumerated; and the planted mistakes must be found in
the same run. The exit code is 1 when a promise was broken or a mistake was not found.
"""

import argparse
import sys
from pathlib import Path

import msgspec
from tests.powercut.file_states import SCRIPTS, Found, play
from tests.powercut.harness import Report, run_cuts
from tests.powercut.workloads import MISTAKES, WORKLOADS


class Result(msgspec.Struct):
    """What a run did and found; `mistakes` says how often each planted one was seen."""

    seed: int
    stores: list[Report] = []
    files: list[Found] = []
    mistakes: dict[str, int] = {}

    @property
    def holds(self) -> bool:
        kept = not any(report.violations for report in self.stores) and not any(f.violations for f in self.files)
        return kept and all(self.mistakes.values())


def run_all(cuts: int, seed: int) -> Result:
    result = Result(seed)
    result.stores = [run_cuts(workload, cuts, seed) for workload in WORKLOADS]
    result.files = [play(script) for script in SCRIPTS]
    result.mistakes = {name: count(seed) for name, count in MISTAKES.items()}
    return result


def tell(result: Result) -> None:
    for report in result.stores:
        print(
            f"{report.workload}: {report.cuts} cuts, {report.cuts_in_recovery} more while recovering,"
            f" {report.kills} after a kill; {report.acknowledged} acknowledgements looked for,"
            f" {report.violations} broken promises; {report.cpu_seconds:.1f} s of processor"
        )
        for story in report.stories:
            print(f"  seed {story.seed}, {story.cut}: {story.problem}")
    for found in result.files:
        print(f"{found.script}: {found.states} states, {len(found.violations)} bad")
        for violation in found.violations[:5]:
            print(f"  {violation}")
    for name, count in result.mistakes.items():
        print(f"planted mistake, {name}: {f'seen {count} times' if count else 'NOT FOUND: the harness is broken'}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.powercut.run", description="Power cuts under every store.")
    parser.add_argument("--cuts", type=int, default=200, help="cuts of each store (200)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1); a seed repeats its cuts exactly")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    options = parser.parse_args(arguments)
    result = run_all(options.cuts, options.seed)
    tell(result)
    if options.json is not None:
        options.json.write_bytes(
            msgspec.json.format(msgspec.json.encode({"holds": result.holds, **msgspec.to_builtins(result)}))
        )
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
