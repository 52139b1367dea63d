#!/usr/bin/env python3
"""Random patterns and texts, and what Python's re makes of them.

    differential.py SEED PAIRS

Writes PAIRS lines `pattern TAB text TAB spans`, pattern and text escaped as in a Python literal, spans as
`start-end` per group, group 0 first, `-` for a group that took no part, and `none` for no match.
Everything follows from SEED. Python's backtracking can take for ever: texts are short, quantified groups are
nested two deep, and what still takes longer than a moment is passed over.
"""

import random
import re
import signal
import sys
import warnings

TEXTS_PER_PATTERN = 6
CHAINS = 0.3
PATIENCE_SECONDS = 0.25
QUANTIFIED_NESTING = 2
LETTERS = "abAB"
WORDS = ("ab", "ba", "=a", "a", " b", "SRC=", " SRC=", " ", "DPT=12", " DPT=123 ", "drop in: ", "1", "23", "\n")
ODD = "01_ .-\n\n\t\x1c\x00\r"


class Patterns:
    """Grows one random pattern."""

    def __init__(self, rng):
        self.rng = rng
        self.names = 0
        self.quantified = 0

    def pattern(self):
        prelude = self.rng.choice(["", "", "", "", "(?i)", "(?s)", "(?m)", "(?ims)", "(?a)", "(?#c)(?m)(?i)"])
        return prelude + self.alternation(self.rng.choice([1, 2, 3, 3, 4]))

    def alternation(self, depth):
        count = self.rng.choice([1, 1, 1, 2, 2, 3])
        return "|".join(self.sequence(depth) for _ in range(count))

    def sequence(self, depth):
        count = self.rng.choice([0, 1, 1, 2, 2, 3, 4])
        return "".join(self.item(depth) for _ in range(count))

    def item(self, depth):
        kind = self.rng.random()
        if kind < 0.15:
            return self.rng.choice(["^", "$", r"\A", r"\Z", r"\b", r"\B", "(?#x)"])
        grouped = kind < 0.45 and depth > 0
        repeated = self.rng.random() < 0.45
        if not grouped:
            return self.atom() + (self.quantifier() if repeated else "")
        repeated = repeated and self.quantified < QUANTIFIED_NESTING
        self.quantified += repeated
        item = self.group(depth - 1) + (self.quantifier() if repeated else "")
        self.quantified -= repeated
        return item

    def group(self, depth):
        inside = self.alternation(depth)
        kind = self.rng.random()
        if kind < 0.5:
            return f"({inside})"
        if kind < 0.6:
            self.names += 1
            return f"(?P<n{self.names}>{inside})"
        if kind < 0.9:
            return f"(?:{inside})"
        flags = self.rng.choice(["i", "-i", "s", "m", "i-m", "s-i", "-m", "ms"])
        return f"(?{flags}:{inside})"

    def quantifier(self):
        low = self.rng.choice([0, 0, 1, 1, 2, 3])
        high = low + self.rng.choice([0, 1, 2])
        quantifier = self.rng.choice(
            ["*", "*", "+", "?", f"{{{low}}}", f"{{{low},}}", f"{{,{high}}}", f"{{{low},{high}}}"]
        )
        return quantifier + self.rng.choice(["", "", "?"])

    def atom(self):
        kind = self.rng.random()
        if kind < 0.55:
            return self.rng.choice(LETTERS[:2] if self.rng.random() < 0.6 else LETTERS)
        if kind < 0.65:
            return "."
        if kind < 0.75:
            return self.rng.choice([r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"])
        if kind < 0.83:
            return self.rng.choice(
                ["0", "1", "_", " ", r"\.", "-", r"\n", r"\t", r"\x1c", r"\0", r"\141", "\n",
                 r"\u0062", "{", "{}", "{a}", "{1,b", "}", "]", r"\x41", r"\101", ",", "ab", "ü"]
            )
        return self.charclass()

    def charclass(self):
        members = "".join(self.member() for _ in range(self.rng.choice([1, 1, 2, 3])))
        first = self.rng.choice(["", "", "", "]", "-"])
        last = self.rng.choice(["", "", "", "-"])
        return "[" + self.rng.choice(["", "", "^"]) + first + members + last + "]"

    def member(self):
        return self.rng.choice(
            ["a", "b", "A", "B", "0", "_", ".", r"\n", r"\s", r"\d", r"\w", r"\D", r"\W", r"\S", r"\b",
             "a-b", "A-b", "Z-a", "0-9", " ", r"\t-\r", r"\-", r"\]", r"\x00-\x1f", "|", "(", "*"]
        )


def chain(rng):
    """A pattern of the kind that logs ask for: literals, and runs of single bytes between them."""
    items = []
    for _ in range(rng.choice([2, 3, 4, 5, 6])):
        item = rng.choice([rng.choice(WORDS).replace("\n", r"\n"), rng.choice(
            [".*", ".*", ".+", ".*?", ".", "[ab]+", "[^b]*", r"\d+", r"\d{1,3}", r"\S+", r"\w*?", "a*", "a+?", r"\b",
             "a{2}", "(?:ab){2}", "(?s:.*)", "(?s:.+?)", r"\s*", "$", "^"])])
        items.append(f"({item})" if rng.random() < 0.3 else item)
    return "".join(items)


def chain_texts(rng):
    for _ in range(TEXTS_PER_PATTERN):
        yield "".join(rng.choice(WORDS) for _ in range(rng.choice([1, 3, 5, 8, 12, 16, 40])))


def texts(rng):
    for _ in range(TEXTS_PER_PATTERN):
        odd = rng.random() * 0.5
        length = rng.choice([0, 1, 1, 2, 3, 4, 5, 6, 8, 10])
        yield "".join(rng.choice(ODD) if rng.random() < odd else rng.choice(LETTERS) for _ in range(length))


class TooLong(Exception):
    """Python is backtracking for ever."""


def give_up(*_):
    raise TooLong


def search(compiled, text):
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    try:
        return compiled.search(text)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def escape(text):
    return "".join(char if " " <= char <= "~" and char != "\\" else ascii_escape(char) for char in text)


def ascii_escape(char):
    return "\\\\" if char == "\\" else "".join(f"\\x{byte:02x}" for byte in char.encode())


def spans(match):
    if match is None:
        return "none"
    groups = range(match.re.groups + 1)
    return " ".join("-" if match.start(n) < 0 else f"{match.start(n)}-{match.end(n)}" for n in groups)


def main():
    seed, pairs = int(sys.argv[1]), int(sys.argv[2])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, give_up)
    rng = random.Random(seed)
    while pairs > 0:
        is_chain = rng.random() < CHAINS
        pattern = chain(rng) if is_chain else Patterns(rng).pattern()
        try:
            compiled = re.compile(pattern)
        except re.error:
            continue
        re.purge()
        for text in list(chain_texts(rng) if is_chain else texts(rng))[:pairs]:
            try:
                match = search(compiled, text)
            except TooLong:
                continue
            print(escape(pattern), escape(text), spans(match), sep="\t")
            pairs -= 1


if __name__ == "__main__":
    main()
