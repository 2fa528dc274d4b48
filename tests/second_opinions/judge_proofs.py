"""Judges with metamorphic-log, which is not ours; runs in the environment of requirements.txt.

Reads a JSON list of questions, answers with a JSON list of booleans. A question is [kind, arguments]; bytes are written
in hex.
"""

import json
import sys
from typing import Any

import metamorphic_log

ASK: dict[str, Any] = {
    "checkpoint": metamorphic_log.checkpoint_verify,
    "inclusion": lambda index, size, leaf, path, root: metamorphic_log.verify_inclusion(
        index, size, bytes.fromhex(leaf), [bytes.fromhex(part) for part in path], bytes.fromhex(root)
    ),
    "consistency": lambda old, size, path, old_root, root: metamorphic_log.verify_consistency(
        old, size, [bytes.fromhex(part) for part in path], bytes.fromhex(old_root), bytes.fromhex(root)
    ),
}


def holds(kind: str, arguments: list[Any]) -> bool:
    try:
        ASK[kind](*arguments)
    except metamorphic_log.VerifyError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps([holds(kind, arguments) for kind, arguments in json.load(sys.stdin)]))  # noqa: T201 - the answer
