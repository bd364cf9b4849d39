"""``python -m tests.sim.planted.siege --json F``: play the evil core's transcript and say what it broke."""

import json
import sys
from pathlib import Path

from tests.sim import evil

from skerry.sim.transcripts import run_transcript

ROOT = Path(__file__).resolve().parents[3]


def main(arguments: list[str]) -> int:
    """Run; return 1 when the site did anything that it should not have."""
    evil.register()
    recorded = (ROOT / "tests" / "transcripts" / "evil-core.txt").read_text()
    answered = run_transcript(recorded)
    before = set(recorded.splitlines())
    differs = [line for line in answered.splitlines() if line not in before]
    breaks = [{"seed": 1, "invariant": "I33", "story": differs[:40]}] if answered != recorded else []
    Path(arguments[-1]).write_text(json.dumps({"breaks": breaks}) + "\n")
    return int(bool(breaks))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
