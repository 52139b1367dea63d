#!/usr/bin/env -S python3 -B
"""Whether the daemon holds more than before after many knocks, reloads and rotations.

    leaks.py BINARY [--knocks N] [--reloads N] [--rotations N]

Prints its descriptors, inotify watches and resident memory, and fails when there are more descriptors or watches
than at first, or when memory has grown by more than GROWTH_KIB. It is counted when nothing is open or running, and
for the first time after some of everything has been done: tables and buffers have their size then.
"""

import argparse
import itertools
import json
import os
import re
import sys
import time

from driven import Driven, Wrong, configure, enter_place, leave_place

GROWTH_KIB = 128
BATCH = 100
WARM_UP = {"knocks": 500, "reloads": 60, "rotations": 60}


def config(**more):
    # Every tenth knock opens a lease, too.
    lease = {"timeout": 0.05, "revert": ["true {key}"], "exclusive": False}
    rules = [
        rule("door", ["one", "two", r"three #(\d+)"]),
        rule("lease", ["one", "two", r"three #(\d*0)$"]) | lease,
        rule("never", ["two", "two"]) | {"within": 1},
        {"name": "sync", "filter": r"^sync (\d+)$", "sequence": [""], "actions": ["true sync"]},
    ]
    rules += [rule(f"more{index}", ["two", "two"]) for index in range(more.pop("rules", 0))]
    return json.dumps({"file": "log", "state": "state", "ruleset": rules} | more)


def rule(name, sequence):
    return {"name": name, "filter": r"^(\S+) ", "sequence": sequence, "actions": ["true {key}"]}


CONFIGS = [
    config(),
    config(rules=20, max_keys=100),
    config(file=["log", "missing/log", "other"], command="sleep 60"),
    config(poll=0.05),
    "{",
    '{"ruleset": 7}',
]


class Leaks:
    def __init__(self, binary):
        self.daemon = Driven(binary, self.hear)
        self.log = open("log", "ab", buffering=0)
        self.serial = self.sync = self.running = 0
        self.open = 0
        self.answers = self.idle = 0

    def hear(self, line):
        self.answers += "state: queue: " in line
        self.idle += "queue: 0 running, 0 waiting" in line
        self.running += line.endswith("running true sync")
        self.open += bool(re.search(": opened for ", line)) - bool(re.search(": closed for ", line))

    def settle(self):
        """Waits until everything that was written has been read and done."""
        self.sync += 1
        self.log.write(b"sync %d\n" % self.sync)
        self.daemon.wait(lambda: self.running == self.sync and self.open == 0, "the commands")

    def knocks(self, count):
        for _ in range(0, count, BATCH):
            lines = []
            for _ in range(BATCH):
                self.serial += 1
                key = b"198.51.100.%d" % (self.serial % 250)
                lines += [b"%s %s #%d\n" % (key, step, self.serial) for step in (b"one", b"two", b"three")]
            self.log.write(b"".join(lines))
            self.settle()

    def reloads(self, count):
        for text in itertools.islice(itertools.cycle(CONFIGS), count):
            self.reload(text)
        self.reload(CONFIGS[0])
        self.settle()

    def reload(self, text):
        configure(text)
        self.daemon.wait(self.daemon.reload(), "the reload")

    def rotations(self, count):
        kinds = [self.rename, self.replace, self.delete, self.truncate]
        for rotate in itertools.islice(itertools.cycle(kinds), count):
            rotate()
            self.settle()
        # For so long a file is read that has been rotated away.
        time.sleep(6)
        self.settle()

    def rename(self):
        os.rename("log", "log.1")
        self.log = open("log", "ab", buffering=0)

    def replace(self):
        self.log = open("log.new", "ab", buffering=0)
        os.rename("log.new", "log")

    def delete(self):
        os.remove("log")
        self.log.write(b"late one #1\n")
        self.log = open("log", "ab", buffering=0)

    def truncate(self):
        self.log.write(b"noise\n" * 100)
        self.settle()
        os.truncate("log", 0)

    def held(self):
        """Descriptors, inotify watches, resident KiB, of a daemon that has nothing to do."""
        idle = self.idle
        while idle == self.idle:
            self.ask()
        proc = f"/proc/{self.daemon.process.pid}"
        infos = [read(f"{proc}/fdinfo/{name}") for name in os.listdir(f"{proc}/fdinfo")]
        watches = sum(info.count("inotify wd") for info in infos)
        return len(infos), watches, int(re.search(r"VmRSS:\s+(\d+)", read(f"{proc}/status"))[1])

    def ask(self):
        answers = self.answers
        self.daemon.signal("USR1")
        self.daemon.wait(lambda: self.answers > answers, "the state")

    def run(self, counts):
        configure(CONFIGS[0])
        self.daemon.start()
        for what, count in WARM_UP.items():
            getattr(self, what)(count)
        first = self.held()
        print(f"{'':20}descriptors   watches   resident KiB")
        print(row("before", first))
        for what, count in counts.items():
            getattr(self, what)(count)
            held = self.held()
            print(row(f"after {count} {what}", held), flush=True)
            if held[:2] > first[:2] or held[2] > first[2] + GROWTH_KIB:
                raise Wrong(f"{what} leave something behind")
        self.daemon.end("TERM", 0)


def read(path):
    with open(path) as file:
        return file.read()


def row(what, held):
    return f"{what:24}{held[0]:7}{held[1]:10}{held[2]:15}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    for name, count in (("knocks", 100_000), ("reloads", 1000), ("rotations", 1000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    arguments = vars(parser.parse_args())
    binary = os.path.abspath(arguments.pop("binary"))
    place = enter_place()
    leaks = Leaks(binary)
    try:
        leaks.run(arguments)
    except Wrong as wrong:
        print("the daemon's log:", *leaks.daemon.recent, sep="\n  ")
        sys.exit(f"FAILED: {wrong}")
    finally:
        leaks.daemon.kill()
        leave_place(place)


if __name__ == "__main__":
    main()
