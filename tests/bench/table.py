#!/usr/bin/env python3
"""Count the instructions a dry run takes per line, for rules of many kinds: what a line costs must not jump.

usage: table.py BINARY [FAIL2BAN]        needs valgrind

Instructions, unlike seconds, hardly depend on the machine's mood. What is constant (starting, reading the rules) is
taken out by running a short log and a longer one, both of generate.py. Beside each figure stands how many times that of
the two rules of rules.json it is.

With a source tree of fail2ban as FAIL2BAN its failregexes are rules, too, on its own sample lines: as they are, but
without what looks around, and with one group for the address.
"""

import configparser
import glob
import itertools
import json
import logging
import os
import re
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
SHORT, LONG = 2_000, 22_000
# The most that a kind of rules may cost, as a multiple of the two rules.
LIMITS = {"time limits": 1.3, "one without": 3, "one short": 3, "": 5}


def rule(number, pattern):
    return {
        "name": f"rule {number}",
        "filter": pattern,
        "sequence": ["this never comes"],
        "actions": ["true"],
    }


def with_limits(rules):
    limited = json.loads(json.dumps(rules))
    for one in limited["ruleset"]:
        one |= {"within": 10, "timeout": 60, "revert": ["true"]}
    return limited


def with_filters(rules, patterns):
    more = [rule(number, pattern) for number, pattern in enumerate(patterns)]
    return rules | {"ruleset": rules["ruleset"] + more}


def kinds(two):
    """Each kind of rules, by its name."""
    letters = [a + b for a, b in itertools.product("abcdefghij", repeat=2)]
    short = [f"([0-9.]+) q{pair}tox"[:19] for pair in letters]
    without = [f"([0-9]+) [a-z]{{3}}[0-9][{pair}]x?" for pair in letters]
    alike = [f"daemon number {number}: refused ([0-9.]+)" for number in range(200)]
    same = [f"drop wan in: .* SRC=([0-9.]+) .* PROTO=UDP .* DPT={port}$" for port in range(3000, 3100)]
    yield "the two rules", two
    yield "the same with time limits", with_limits(two)
    yield "one short literal more", with_filters(two, ["([0-9.]+) qitox"])
    yield "one without a literal more", with_filters(two, [r"^(\S+) \S+ [0-9]+$"])
    for count in 10, 100:
        yield f"{count} short literals more", with_filters(two, short[:count])
    for count in 10, 100:
        yield f"{count} without a literal more", with_filters(two, without[:count])
    for count in 64, 100, 200:
        yield f"{count} long literals alike more", with_filters(two, alike[:count])
    yield "100 with the two rules' literals more", with_filters(two, same)


def instructions(binary, rules, log):
    command = [binary, "-n", "-c", rules, log]
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    run = subprocess.run(valgrind + command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=True)
    return int(re.search(rb"refs: *([0-9,]+)", run.stderr)[1].replace(b",", b""))


def per_line(binary, rules, folder, logs):
    path = f"{folder}/rules.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rules, file)
    check = subprocess.run([binary, "-t", "-c", path], capture_output=True, text=True, check=False)
    if check.returncode == 2:
        sys.exit(check.stderr)
    few, many = (instructions(binary, path, log) for log, _ in logs)
    return (many - few) // (logs[1][1] - logs[0][1])


def end_of_group(pattern, start):
    """Where the group ends that begins at `start`."""
    depth = at = 0
    for at in range(start, len(pattern)):
        escapes = len(pattern[:at]) - len(pattern[:at].rstrip("\\"))
        if escapes % 2 == 0:
            depth += (pattern[at] == "(") - (pattern[at] == ")")
        if depth == 0:
            break
    return at + 1


def without_looks(pattern):
    pattern = re.sub(r"\(\?P=\w+\)", r"\\S+", pattern)
    while found := re.search(r"(?<!\\)\(\?(?:<?[=!])", pattern):
        pattern = pattern[: found.start()] + pattern[end_of_group(pattern, found.start()) :]
    return re.sub(r"\(\?\(\w+\)", "(?:", pattern)


def with_one_address(pattern):
    for _ in range(2):
        pattern = re.sub(r"<F-([A-Z0-9_]+)>(.*?)</F-\1>", r"(?:\2)", pattern)
    pattern = re.sub(r"<F-[A-Z_]+/>", r"(?:\\S+)", pattern)
    pattern = re.sub(r"(?<!\\)\((?:\?P<\w+>|(?!\?))", "(?:", pattern).removeprefix("^")
    before, _, after = re.sub("<(HOST|ADDR|IP4|IP6|SUBNET|CIDR)>", "\0", pattern).partition("\0")
    return before + "([0-9a-fA-F.:]+)" + after.replace("\0", "[0-9a-fA-F.:]+")


def fail2ban(tree):
    """The failregexes of a source tree, as they are and with one address group."""
    sys.path.insert(0, tree)
    # pylint: disable=import-error,import-outside-toplevel
    from fail2ban.client.filterreader import FilterReader
    from fail2ban.server.failregex import Regex

    # It warns of every section that a filter leaves out.
    logging.disable()
    plain = []
    for path in sorted(glob.glob(f"{tree}/config/filter.d/*.conf")):
        name = os.path.basename(path).removesuffix(".conf")
        reader = FilterReader(name, name, {}, basedir=f"{tree}/config")
        try:
            reader.read()
            reader.getOptions(None)
            commands = reader.convert()
        except (ValueError, configparser.Error):
            continue
        for command in commands:
            if "addfailregex" in command:
                plain += command[-1] if isinstance(command[-1], list) else [command[-1]]
    verbatim, converted = {}, {}
    for pattern in plain:
        whole = without_looks(Regex._resolveHostTag(pattern, useDns="yes"))  # pylint: disable=protected-access
        one = with_one_address(without_looks(pattern))
        for patterns, text in (verbatim, whole), (converted, one):
            try:
                if re.compile(text).groups:
                    patterns[text] = None
            except re.error:
                pass
    return list(converted), list(verbatim)


def sample_lines(tree):
    for path in sorted(glob.glob(f"{tree}/fail2ban/tests/files/logs/*")):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                yield from (line for line in file if line.strip() and not line.startswith(b"#"))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    with open(f"{FOLDER}/rules.json", encoding="utf-8") as file:
        two = json.load(file)
    with tempfile.TemporaryDirectory(prefix="table-") as folder:
        logs = [(f"{folder}/{count}.log", count) for count in (SHORT, LONG)]
        for log, count in logs:
            with open(log, "wb") as file:
                subprocess.run([f"{FOLDER}/generate.py", str(count)], stdout=file, check=True)
        print(f"{'instructions per line':40}{'':>10}")
        base, exceeded = None, []
        for name, rules in kinds(two):
            cost = per_line(binary, rules, folder, logs)
            base = base or cost
            print(f"{name:40}{cost:>10}{cost / base:8.2f}x", flush=True)
            limit = next(limit for part, limit in LIMITS.items() if part in name)
            if cost > base * limit:
                exceeded.append(f"{name}: more than {limit} times the two rules")
        if len(sys.argv) == 3:
            tree = os.path.abspath(sys.argv[2])
            lines = list(sample_lines(tree))
            # The first time round, what is computed once is.
            logs = [(f"{folder}/{times}.log", times * len(lines)) for times in (1, 3)]
            for (log, _), times in zip(logs, (1, 3)):
                with open(log, "wb") as file:
                    file.writelines(lines * times)
            names = "fail2ban's, one address group", "fail2ban's, as they are"
            for name, patterns in zip(names, fail2ban(tree)):
                rules = {"file": "/dev/null"} | with_filters({"ruleset": []}, patterns)
                cost = per_line(binary, rules, folder, logs)
                print(f"{len(patterns)} of {name:33}{cost:>10}", flush=True)
        else:
            print("fail2ban's failregexes: skipped, no source tree of it was named")
    sys.exit("\n".join(exceeded) or None)


if __name__ == "__main__":
    main()
