"""Refuse licences that telerig's users could not live with.  Run inside .venv, with everything installed.

What users install (``telerig[all]`` and all it brings) is MIT, BSD, Apache or the like; what only tests use may be MPL
too; GPL and LGPL are refused everywhere, and so is whatever has no licence that this file knows.  A package whose
metadata do not say is named in ``KNOWN``, with the reason why it is all right.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = {
    *("MIT", "MIT License", "MIT-CMU", "ISC", "ISC License (ISCL)", "0BSD", "Zlib", "BSL-1.0", "CC0-1.0", "Unlicense"),
    *("BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "3-Clause BSD License", "New BSD License"),
    *("Apache-2.0", "Apache 2.0", "Apache License 2.0", "Apache Software License", "Apache-2.0 WITH LLVM-exception"),
    *("PSF-2.0", "Python Software Foundation License"),
}
TEST_TOOLS_TOO = {"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"}
SAYS_NOTHING = {"DFSG approved", "OSI Approved"}  # classifiers that accompany a licence
# Distribution (a trailing * stands for the rest) → reason why its licence is accepted all the same.
KNOWN = {
    "nvidia-*": "CUDA, brought by PyPI's torch on Linux x86-64: redistributable, not open; the CPU build has none",
    "cuda-*": "the same",
    "rich-click": "MIT: its metadata hold the whole licence instead of its name; brought by cyclonedds",
    "cyclonedds": "EPL-2.0 or EDL-1.0, which is BSD-3-Clause, as the user likes (its LICENSE; SPDX 'EPL-2.0 OR BSD-3-Clause')",
}


def closure(name: str, extras: set[str]) -> set[str]:
    """Names of all distributions that installing this one brings, itself included."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(canonicalize_name(name), frozenset(extras))]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            lines = distribution(item[0]).requires or []
        except PackageNotFoundError:
            continue  # its marker did not hold on this machine
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *item[1])):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {found for found, _ in seen}


def licences(text: str) -> set[str]:
    """The single licences of an SPDX expression or of pip-licenses' list of classifiers."""
    parts = re.split(r"\s+AND\s+|\s+OR\s+|;", re.sub(r"^\((.*)\)$", r"\1", text.strip()))
    return {part.strip() for part in parts} - SAYS_NOTHING


def known(name: str) -> bool:
    """Whether KNOWN accepts a distribution."""
    return any(name == k or (k.endswith("*") and name.startswith(k[:-1])) for k in KNOWN)


def main() -> int:
    """:returns: 1 if a licence is refused."""
    command = [Path(sys.executable).parent / "pip-licenses", "--from=mixed", "--format=json", "--with-system"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    users = closure("telerig", {"all"})
    refused = []
    for row in found:
        name = canonicalize_name(row["Name"])
        allowed = PERMISSIVE if name in users else PERMISSIVE | TEST_TOOLS_TOO
        wrong = licences(row["License"]) - allowed
        if (wrong or not licences(row["License"])) and not known(name):
            kind = "what users install" if name in users else "a test tool"
            refused.append(f"{row['Name']} {row['Version']} ({kind}): {row['License'][:200]!r}")
    tools = len(found) - len(users & {canonicalize_name(row["Name"]) for row in found})
    print(f"licences: {len(found)} distributions, {tools} of them only for tests; refused: {len(refused)}")
    print(*refused, sep="\n", end="\n" if refused else "")
    return bool(refused)


if __name__ == "__main__":
    sys.exit(main())
