"""Runs one function of a benchmark in this interpreter, for `benchmarks.measuring.apart`.

Usage: python -m benchmarks.apart MODULE FUNCTION ARGUMENTS-AS-JSON DESCRIPTOR
"""

import importlib
import json
import sys


def main() -> None:
    """Call the function and write its result, as JSON, to the descriptor."""
    module, function, arguments, descriptor = sys.argv[1:]
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    with open(int(descriptor), "w", encoding="utf-8") as answer:  # noqa: PTH123 -- a descriptor, not a path
        json.dump(result, answer)


if __name__ == "__main__":
    main()
