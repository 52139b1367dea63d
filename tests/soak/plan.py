"""What the soak does, step by step: everything follows from the seed, nothing from what the daemon does.

Options, the last word of a line, say how the commands of its knock behave: `hold-MS` never ends by itself, and is
killed after that time; `shut-MS` is that for the first try to close; `fail-N` fails to close N times; `stuck` never
ends, which is left to the daemon; `-` is nothing special.
"""

import random
from collections import namedtuple
from dataclasses import replace

from rules import Setup, one_time_sequence

Line = namedtuple("Line", "source key port serial option")
Lines = namedtuple("Lines", "log lines")
Flood = namedtuple("Flood", "log lines noise")
Rotate = namedtuple("Rotate", "log kind late")
Pause = namedtuple("Pause", "seconds")
Confirm = namedtuple("Confirm", "log")
Reload = namedtuple("Reload", "kind setup broken meanwhile")
Stop = namedtuple("Stop", "seconds meanwhile")
Firewall = namedtuple("Firewall", "")
Restart = namedtuple("Restart", "signal lines seconds")

KEYS = 40
LEASE_KEYS = 10
STRANGERS = 5000
MOVES = ("rename", "rename, late", "create, late", "delete", "delete, late", "replace")
# What has to be waited for, because the order of what is read would not be certain.
SETTLED = ("truncate", "trim in place", "trim aside", "ring", "tail", "second writer")
RELOADS = ("same", "broken", "changed")
RESTARTS = ("KILL", "TERM")
BROKEN = ("{", '{"file": "a.log", "ruleset": []}', '{"file": "a.log"}', "\n", "\0" * 100, '{"sequnce": 1}')


class Plan:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.serial = 0
        self.one_time = 0
        self.setup = Setup()

    def steps(self):
        yield from self.tour()
        kinds = {
            self.knocks: 120,
            self.pause: 8,
            self.confirm: 8,
            self.rotate: 10,
            self.slow: 2,
            self.hanging: 1,
            self.flood: 4,
            self.reload: 5,
            self.stop: 2,
            self.firewall: 2,
            self.restart: 0.4,
        }
        while True:
            yield from self.rng.choices(list(kinds), list(kinds.values()))[0]()

    def tour(self):
        """Everything once: a short run should have seen it all."""
        rotations = [lambda kind=kind: self.rotate([kind]) for kind in (*MOVES, *SETTLED)]
        reloads = [lambda kind=kind: self.reload([kind]) for kind in RELOADS]
        restarts = [lambda name=name: self.restart([name]) for name in RESTARTS]
        kinds = [*rotations, *reloads, *restarts, self.slow, self.hanging, self.flood, self.stop, self.firewall]
        self.rng.shuffle(kinds)
        for kind in kinds:
            yield from self.knocks()
            yield from kind()

    def line(self, source, key, port, option="-"):
        self.serial += 1
        return Line(source, key, port, self.serial, option)

    def sequence(self, source, key, ports, option="-"):
        """The lines of a knock; with `option` at the last."""
        lines = [self.line(source, key, port) for port in ports[:-1]]
        return lines + [self.line(source, key, ports[-1], option)]

    def key(self, count=KEYS):
        return f"k{self.rng.randrange(count)}"

    def knocks(self):
        log = self.rng.choice("ab")
        attempts = [self.attempt(log) for _ in range(self.rng.randint(1, 6))]
        yield Lines(log, self.merge(attempts))

    def merge(self, attempts):
        """Many keys knock at the same time: their lines come mixed, each key's in order."""
        if self.rng.random() < 0.5:
            return [line for lines in attempts for line in lines]
        attempts = [list(lines) for lines in attempts if lines]
        merged = []
        while attempts:
            lines = self.rng.choice(attempts)
            merged.append(lines.pop(0))
            attempts = [lines for lines in attempts if lines]
        return merged

    def attempt(self, log):
        if self.rng.random() < 0.15:
            return self.wander(log)
        return self.at_a() if log == "a" else self.at_b()

    def wander(self, log):
        source, keys = ("gate", KEYS) if log == "a" else ("yard", LEASE_KEYS)
        ports = [f"p{self.rng.randint(1, 5)}" for _ in range(self.rng.randint(1, 8))]
        return self.sequence(source, self.key(keys), ports)

    def at_a(self):
        kind = self.rng.randrange(100)
        key = self.key()
        if kind < 40:
            option = f"hold-{self.rng.randrange(300)}" if self.rng.random() < 0.01 else "-"
            return self.sequence("gate", key, self.mistaken(["p1", "p2", "p3"]), option)
        if kind < 60:
            return self.sequence("gate", key, ["p1"] * self.rng.randint(2, 5))
        if kind < 75:
            return self.sequence("gate", key, self.repeated(["p4", "p5", "p4"]))
        if kind < 85:
            return self.sequence("gate", key, ["p5", "p5", "p1"])
        if kind < 99:
            return self.sequence("quick", key, ["p2", "p3", "p1"])
        return self.sequence("stuck", key, ["p1"], "stuck")

    def at_b(self):
        kind = self.rng.randrange(100)
        key = self.key(LEASE_KEYS)
        if kind < 60:
            options = ["-"] * 60 + ["fail-1", "fail-2", f"shut-{self.rng.randrange(200)}"]
            return self.sequence("yard", key, self.repeated(["p1", "p2"]), self.rng.choice(options))
        if kind < 70:
            return self.sequence("wall", key, ["p2", "p1"])
        if kind < 85:
            option = self.rng.choice(["-", "-", "-", "shun"])
            return self.sequence("yard", key, ["p3", "p1", "p4"], option)
        if kind < 97:
            return self.sequence("yard", key, self.mistaken(["p1", "p2"]))
        return self.one_time_attempt(key)

    def one_time_attempt(self, key):
        lines = []
        first = self.one_time + self.rng.choice([0, 0, 0, -1, -2, 1])
        last = self.one_time + self.rng.choice([0, 0, 0, 2])
        for number in range(max(first, 0), last + 1):
            lines += self.sequence("once", key, one_time_sequence(number))
        self.one_time = min(max(self.one_time, last + 1), 1000)
        return lines

    def mistaken(self, ports):
        if self.rng.random() < 0.2:
            ports.insert(self.rng.randrange(len(ports)), f"p{self.rng.randint(1, 5)}")
        return ports

    def repeated(self, ports):
        return [port for port in ports for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]

    def pause(self):
        yield Pause(self.rng.choice([0.01, 0.01, 0.05, 0.05, 0.2, 0.2, 0.2, 1.0, 1.8]))

    def confirm(self):
        yield Confirm(self.rng.choice("ab"))

    def slow(self):
        """A sequence with a gap in it that is too long."""
        lines = self.sequence("quick", self.key(), ["p2", "p3", "p1"])
        cut = self.rng.randint(1, 2)
        yield Confirm("a")
        yield Lines("a", lines[:cut])
        yield Confirm("a")
        yield Pause(1.4)
        yield Lines("a", lines[cut:])

    def hanging(self):
        """Commands that have to be killed, and one that fails."""
        hold, shut = (self.rng.randrange(300) for _ in range(2))
        yield Lines("a", self.sequence("gate", self.key(), ["p1", "p2", "p3"], f"hold-{hold}"))
        yield Lines("a", self.sequence("stuck", self.key(), ["p1"], "stuck"))
        for key, option in enumerate((f"shut-{shut}", "fail-1")):
            yield Lines("b", self.sequence("yard", f"h{key}", ["p1", "p2"], option))

    def rotate(self, kinds=(*MOVES, *SETTLED)):
        log = self.rng.choice("ab")
        yield Rotate(log, self.rng.choice(kinds), self.attempt(log))

    def flood(self):
        log = self.rng.choice("ab")
        kind = self.rng.randrange(4)
        if kind < 2:
            yield Flood(log, [], self.rng.randint(1, 20000))
            return
        # Strangers take the place of whoever has come as far as they.
        if kind == 2:
            yield Flood("a", self.brink(), 0)
            return
        count = self.rng.choice([10, 40, 100, 3000])
        strangers = [self.line("gate", f"s{self.rng.randrange(STRANGERS)}", "p1") for _ in range(count)]
        yield Flood("a", self.merge([strangers, self.attempt("a"), self.attempt("a")]), 0)

    def brink(self):
        """A key that is just kept, or just not."""
        key = self.key()
        begin = self.sequence("gate", key, ["p1", "p1"])
        count = self.setup.max_keys + self.rng.choice([-2, -1, 0, 1])
        strangers = [self.line("gate", f"t{self.serial}", "p1") for _ in range(count)]
        return begin + strangers + self.sequence("gate", key, ["p2", "p3"])

    def reload(self, kinds=(*RELOADS, "changed")):
        kind = self.rng.choice(kinds)
        if kind == "changed":
            self.change()
        broken = self.rng.choice(BROKEN) if kind == "broken" else None
        yield Reload(kind, self.setup, broken, [*self.knocks()])

    def change(self):
        rng = self.rng
        what = rng.choice(["extra", "rotation", "max_keys", "within", "timeout", "one_time", "one_time", "debug"])
        first = max(self.one_time - rng.choice([0, 0, 1, 5]), 0)
        value = {
            "extra": not self.setup.extra,
            "rotation": rng.randrange(10),
            "max_keys": rng.choice([48, 64, 100]),
            "within": rng.choice([1.0, 1.1]),
            "timeout": rng.choice([1.0, 1.5, 2.0]),
            "one_time": tuple(range(first, self.one_time + rng.randint(1, 4))),
            "debug": not self.setup.debug,
        }
        self.setup = replace(self.setup, **{what: value[what]})

    def stop(self):
        meanwhile = [*self.knocks(), *self.knocks()]
        if self.rng.random() < 0.5:
            meanwhile += [*self.rotate(MOVES), *self.knocks()]
        if self.rng.random() < 0.3:
            meanwhile += [*self.flood()]
        yield Stop(self.rng.choice([0.01, 0.1, 0.5]), meanwhile)

    def firewall(self):
        """What some keys have opened is gone, and the daemon is told."""
        for number in range(self.rng.randint(1, 3)):
            yield Lines("b", self.sequence("wall", f"w{number}", ["p2", "p1"]))
        yield Firewall()

    def restart(self, names=RESTARTS):
        """A kill comes while knocks do."""
        name = self.rng.choice(names)
        attempts = [self.at_a() for _ in range(self.rng.randint(0, 20))] if name == "KILL" else []
        lines = [line for line in self.merge(attempts) if line.option == "-"]
        yield Restart(name, lines, self.rng.uniform(0, 0.05))
