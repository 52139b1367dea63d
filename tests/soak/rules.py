"""The rules the soak runs under, as plain values, and the configuration file that says the same."""

import json
from dataclasses import dataclass

SYNC = "sync"
ONE_TIME_LENGTH = 5


@dataclass(frozen=True)
class Rule:
    name: str
    source: str  # the first word of the lines that concern it
    sequences: tuple  # of ports; more than one with one_time only
    actions: int = 1
    within: float = 0
    repeats: bool = False
    timeout: float = 0
    exclusive: bool = False
    one_time: bool = False
    ignore: str = ""  # an option; lines with it are passed over
    check: str = ""  # what tells whether it is open
    action_timeout: float = 30

    @property
    def log(self):
        return "b" if self.source in ("yard", "wall", "once", SYNC + "-b") else "a"

    def matches_as(self, other):
        """Whether progress survives a reload that turns `other` into this."""

        def decisive(rule):
            return rule.name, rule.source, rule.sequences, rule.within, rule.repeats, rule.one_time, rule.ignore

        return decisive(self) == decisive(other)


@dataclass(frozen=True)
class Setup:
    """What reloads change."""

    extra: bool = True
    rotation: int = 0  # of the order of the rules
    max_keys: int = 64
    within: float = 1.0
    timeout: float = 1.5
    one_time: tuple = (0, 1, 2, 3)
    debug: bool = False

    def rules(self):
        rules = [
            Rule("plain", "gate", (("p1", "p2", "p3"),), actions=2),
            Rule("double", "gate", (("p1", "p1"),)),
            Rule("tcp", "gate", (("p4", "p5", "p4"),), repeats=True),
            Rule("quick", "quick", (("p2", "p3", "p1"),), within=self.within),
            Rule("stuck", "stuck", (("p1",),), action_timeout=0.2),
            Rule("door", "yard", (("p1", "p2"),), repeats=True, timeout=self.timeout),
            Rule("solo", "yard", (("p3", "p1", "p4"),), timeout=2, exclusive=True, ignore="shun"),
            Rule("wall", "wall", (("p2", "p1"),), timeout=4, check="test -e wall/{key}"),
            Rule("once", "once", tuple(one_time_sequence(i) for i in self.one_time), one_time=True),
            Rule("sync-a", SYNC + "-a", (("-",),)),
            Rule("sync-b", SYNC + "-b", (("-",),)),
        ]
        if self.extra:
            rules.insert(2, Rule("extra", "gate", (("p5", "p5", "p1"),)))
        shift = self.rotation % len(rules)
        return rules[shift:] + rules[:shift]

    def config(self):
        top = {"file": ["a.log", "b.log"], "state": "state", "max_keys": self.max_keys, "debug": self.debug}
        return json.dumps({**top, "ruleset": [as_json(rule) for rule in self.rules()]}, indent=1)


def one_time_sequence(number):
    """The ports of a sequence that no other number below 1024 has."""
    number = number * 377 % 1024
    return tuple(f"p{number // 4**digit % 4}" for digit in range(ONE_TIME_LENGTH))


def as_json(rule):
    sequences = [steps(ports) for ports in rule.sequences]
    out = {
        "name": rule.name,
        "filter": rf"^{rule.source} (\S+) ",
        "actions": [command(rule, index + 1) for index in range(rule.actions)],
        "action_timeout": rule.action_timeout,
        "repeats": rule.repeats,
    }
    out |= {"one_time": sequences} if rule.one_time else {"sequence": sequences[0]}
    if rule.within:
        out["within"] = rule.within
    if rule.timeout:
        out |= {"timeout": rule.timeout, "revert": [command(rule, 1)], "exclusive": rule.exclusive}
    if rule.check:
        out["check"] = [rule.check]
    if rule.ignore:
        out["ignore"] = f" {rule.ignore}$"
    return out


def steps(ports):
    """The last step tells the commands which knock it was."""
    return [f" {port} " for port in ports[:-1]] + [rf" {ports[-1]} #(\d+) (\S+)$"]


def command(rule, index):
    return f"sh command {rule.name} {index} {{key}} {{0}} {{1}}"
