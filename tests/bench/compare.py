#!/usr/bin/env python3
"""Compare a dry run with Python's re and with programs that only count the matches of one filter.

usage: compare.py BINARY [COUNT]        a log of 1,000,000 lines unless told; needs hyperfine, rg, grep, busybox

Whole processes are timed, medians of five after one to warm up. The log and the two rules are those of
generate.py and rules.json. The last two rows are dry runs of ten rules, one of which is of those two: nine whose
filters match no line, and nine with the same filter whose sequences never begin.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 5
PROTOCOLS = "SCTP DCCP UDPLITE IGMP OSPF L2TP GRE ESP AH".split()


def ten_rules(rules, change):
    """The first rule, and nine that `change` makes of it."""
    first = rules["ruleset"][0]
    others = []
    for number, protocol in enumerate(PROTOCOLS):
        rule = change(json.loads(json.dumps(first)), number, protocol)
        others.append(rule | {"name": f"never {number}"})
    return rules | {"ruleset": [first, *others]}


def other_filter(rule, _, protocol):
    return rule | {"filter": rule["filter"].replace("UDP", protocol)}


def other_steps(rule, number, _):
    return rule | {"sequence": [f"{step}{number}9" for step in rule["sequence"]]}


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def measure(commands, folder):
    """The median seconds of each command. They take turns, for a machine is not the same all the time."""
    report = f"{folder}/report.json"
    # Into a pipe: GNU grep stops at the first match when its output is /dev/null.
    options = ["--runs=1", "--shell=none", "--style=none", "--output=pipe"]
    hyperfine = ["hyperfine", *options, f"--export-json={report}", *map(shlex.join, commands)]
    rounds = []
    for _ in range(1 + ROUNDS):
        subprocess.run(hyperfine, check=True, stderr=subprocess.DEVNULL)
        with open(report, encoding="utf-8") as file:
            rounds.append([result["mean"] for result in json.load(file)["results"]])
    warm = rounds[1:]
    return [statistics.median(seconds) for seconds in zip(*warm)]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) == 3 else 1_000_000
    with open(f"{FOLDER}/rules.json", encoding="utf-8") as file:
        rules = json.load(file)
    pattern = rules["ruleset"][0]["filter"]
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        log = f"{folder}/firewall.log"
        with open(log, "wb") as file:
            subprocess.run([f"{FOLDER}/generate.py", str(count)], stdout=file, check=True)
            # Otherwise the first to be timed would share the machine with the writing.
            os.fsync(file.fileno())
        write(f"{folder}/filters.json", json.dumps(ten_rules(rules, other_filter)))
        write(f"{folder}/steps.json", json.dumps(ten_rules(rules, other_steps)))
        rows = {
            "logknockd -n": [binary, "-n", "-c", f"{FOLDER}/rules.json", log],
            "the same in Python": ["python3", f"{FOLDER}/baseline.py", log, f"{FOLDER}/rules.json"],
            "rg -c FILTER": ["rg", "-c", pattern, log],
            "GNU grep -cE FILTER": ["env", "LC_ALL=C", "grep", "-cE", pattern, log],
            "busybox grep -cE FILTER": ["busybox", "grep", "-cE", pattern, log],
            "ten rules, nine filters idle": [binary, "-n", "-c", f"{folder}/filters.json", log],
            "ten rules, nine sequences idle": [binary, "-n", "-c", f"{folder}/steps.json", log],
        }
        size = os.path.getsize(log)
        times = measure(rows.values(), folder)
    print(f"{count} lines, {size / 1e6:.0f} MB; median of five runs of the whole process")
    print(f"{'':32}{'seconds':>8}{'lines/s':>12}{'MB/s':>7}{'time':>8}")
    for name, seconds in zip(rows, times):
        speed = f"{seconds:8.3f}{count / seconds:12.0f}{size / 1e6 / seconds:7.0f}"
        print(f"{name:32}{speed}{seconds / times[0]:7.2f}x")


if __name__ == "__main__":
    main()
