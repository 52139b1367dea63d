#!/usr/bin/env python3
"""The baseline of the dry-run benchmark: the Python daemon's matching loop over a whole log.

usage: baseline.py [--knocks] LOG RULES.json

Every line is searched with the filter of every rule. A line that passes joins its key's buffer of
the last n lines, n being the length of the sequence; when the buffer is full, each step is searched
in its line, in order, until one fails. Patterns are compiled once. Only what is the same for any
implementation is left out: following the file, and running the actions.

With --knocks, one row "LINE RULE KEY" per knock on standard output, to compare with a dry run; the
summary then goes to standard error.
"""

import argparse
import collections
import json
import re
import sys
import time


class Rule:
    def __init__(self, config):
        self.name = config["name"]
        self.filter = re.compile(config["filter"])
        self.sequence = [re.compile(step) for step in config["sequence"]]
        self.buffers = collections.defaultdict(lambda: collections.deque(maxlen=len(self.sequence)))

    def feed(self, line):
        """The key whose sequence this line completes, or None."""
        match = self.filter.search(line)
        if match is None:
            return None
        key = match.group(1)
        buffer = self.buffers[key]
        buffer.append(line)
        if len(buffer) < len(self.sequence):
            return None
        for step, earlier in zip(self.sequence, buffer):
            if step.search(earlier) is None:
                return None
        return key


def main():
    parser = argparse.ArgumentParser(usage="baseline.py [--knocks] LOG RULES.json")
    parser.add_argument("--knocks", action="store_true")
    parser.add_argument("log")
    parser.add_argument("rules")
    options = parser.parse_args()
    with open(options.rules, encoding="utf-8") as file:
        rules = [Rule(config) for config in json.load(file)["ruleset"]]

    knocks = []
    number = 0
    started = time.perf_counter()
    with open(options.log, encoding="utf-8", errors="replace", newline="\n") as log:
        for number, line in enumerate(log, 1):
            line = line.strip()
            for rule in rules:
                key = rule.feed(line)
                if key is not None:
                    knocks.append((number, rule.name, key))
    seconds = time.perf_counter() - started

    if options.knocks:
        for knock in knocks:
            print(*knock)
    print(
        f"lines {number} seconds {seconds:.3f} {number / seconds:.0f} lines/s knocks {len(knocks)}",
        file=sys.stderr if options.knocks else sys.stdout,
    )


if __name__ == "__main__":
    main()
