"""Count the tests of a junit file and print every skipped one with its reason; exit with 1 if a reason is not allowed.

``skips.py REPORT.xml``; the allowed reasons are the regular expressions of ``allowed_skips.txt`` beside this file.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def allowed_reasons() -> list[re.Pattern[str]]:
    """One expression a line; # begins a comment."""
    lines = (Path(__file__).parent / "allowed_skips.txt").read_text().splitlines()
    return [re.compile(line.strip()) for line in lines if line.strip() and not line.startswith("#")]


def main(report: str) -> int:
    """:returns: 1 if a test was skipped for a reason that is not allowed, or if no test ran."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    reasons: Counter[str] = Counter()
    for case in cases:
        for kind in case.iter("skipped"):
            reasons[f"{kind.get('type', 'skip').removeprefix('pytest.')}: {kind.get('message', 'no reason')}"] += 1
    allowed = allowed_reasons()
    refused = [reason for reason in reasons if not any(a.search(reason) for a in allowed)]
    print(f"skips: {sum(reasons.values())} of {len(cases)} tests")
    for reason, count in sorted(reasons.items()):
        print(f"  {count} × {reason}{'   ← not in .ci/allowed_skips.txt' if reason in refused else ''}")
    return bool(refused) or not cases


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
