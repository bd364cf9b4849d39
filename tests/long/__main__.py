"""`./dev long NAME…|all`: run the named long runs, or all that are built, and keep their results.

Without a name it only lists them: all of them take most of a day.
"""

import json
import sys
from pathlib import Path

from tests.long.runner import is_built, perform_run
from tests.long.runs import RUNS, LongRun

ROOT = Path(__file__).resolve().parent.parent.parent
USAGE = 64
HELP = """\
./dev long            list the long runs and the minutes that each may take
./dev long NAME…      run these, each into docs/results/NAME.json
./dev long all        run all that are built, one after the other
"""


def main(names: list[str], runs: tuple[LongRun, ...], root: Path) -> int:
    """Run and write docs/results/NAME.json for each; a run that failed is kept too, and makes the exit code 1."""
    known = {run.name: run for run in runs}
    if names and names[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if names in ([], ["--list"]):
        for run in runs:
            print(
                f"{run.name:<16}{run.budget_min:>4} min  {run.why}{'' if is_built(run, root) else '  (not built yet)'}"
            )
        if not names:
            print(f"\n{HELP}", end="")
        return 0
    if names == ["all"]:
        names = [run.name for run in runs if is_built(run, root)]
    refused = [name for name in names if name not in known or not is_built(known[name], root)]
    for name in refused:
        why = "not built yet" if name in known else f"no long run of that name: there are {', '.join(known)}"
        print(f"{name}: {why}", file=sys.stderr)
    chosen = [run for run in runs if run.name in names]
    if refused or not chosen:
        return USAGE
    folder = root / "docs" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for run in chosen:
        print(f"\n== {run.name}: {run.why} (budget {run.budget_min} min)", flush=True)
        result = perform_run(run, root)
        (folder / f"{run.name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        print(f"== {run.name}: {'ok' if result['ok'] else 'FAILED'} in {result['seconds']} s", flush=True)
        failed += not result["ok"]
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], RUNS, ROOT))
