#!/usr/bin/env python3
"""Compares what was made of inputs with what Python makes of them.

    oracle.py TARGET

Reads lines `input TAB verdict`, the input in hexadecimal digits; src/targets/ says what the verdicts are. Prints how
many could be compared, or the first that differ, and then ends with 1.
"""

import calendar
import json as python_json
import re
import shlex
import signal
import sys
import warnings

PATIENCE_SECONDS = 0.25
SHOWN = 5
SHOWN_LENGTH = 1000
# What our reader of JSON refuses on purpose.
STRICTER = ("duplicate key", "half of a surrogate", "more than 64", "expected a value", "expected a digit")


def unescaped(digits):
    return bytes.fromhex(digits)


def json_notation(value):
    if value is None or isinstance(value, bool):
        return {None: "n", True: "t", False: "f"}[value]
    if isinstance(value, Number):
        return "#" + value
    if isinstance(value, str):
        return '"' + value.encode().hex()
    if isinstance(value, list):
        return "[" + ",".join(map(json_notation, value)) + "]"
    return "{" + ",".join(f"{key.encode().hex()}:{json_notation(item)}" for key, item in value.pairs) + "}"


class Number(str):
    pass


class Members:
    def __init__(self, pairs):
        self.pairs = pairs


def no_constant(name):
    raise ValueError(name)


def json(document, verdict):
    try:
        text = document.decode("utf-8-sig")
        value = python_json.loads(
            text, object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=no_constant
        )
    except (ValueError, RecursionError):
        return verdict.startswith("!")
    if verdict.startswith("!"):
        return verdict[1:].startswith(STRICTER[:3])
    return json_notation(value) == verdict


class Slow(Exception):
    pass


def slow(*_):
    raise Slow


def regex(parts, verdict):
    pattern, *texts = parts.split(b"\xff")
    if verdict.startswith(("!", "?")):
        return None
    pattern = pattern.decode()
    if not pattern.isascii():
        return None
    compiled = re.compile(pattern)
    compared = None
    for text, found in zip(texts, verdict.split(";")):
        text = text[:1024]
        if not text.isascii():
            continue
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
        try:
            match = compiled.search(text.decode())
        except Slow:
            continue
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        spans = [match.span(group) for group in range(compiled.groups + 1)] if match else None
        expected = " ".join("-" if span == (-1, -1) else "%d-%d" % span for span in spans) if spans else "none"
        if expected != found:
            raise ValueError(f"{pattern!r} on {text!r} is {found}, not {expected}")
        compared = True
    return compared


def template(parts, verdict):
    if verdict.startswith(("!", "?")):
        return None
    line = parts.split(b"\xff")[0].decode()
    split, values, filled = ([unescaped(word) for word in field.split(",")] for field in verdict.replace("!", "").split(";"))
    if re.search(r"\\[\n$`]|[\x0b\x0c]", line):
        # shlex keeps the line break or the backslash, and does not know these blanks.
        return None
    if [word.encode() for word in shlex.split(line)] != split:
        return False
    if verdict.endswith("!"):
        return None
    *groups, key = [value.decode(errors="surrogateescape") for value in values]
    names = {"key": key, "rule": "a rule", "family": "4", "name": groups[1]}
    # Automatic numbers go on from word to word.
    expected = "\0".join(word.decode() for word in split).format(*groups, **names)
    return expected.encode(errors="surrogateescape").split(b"\0") == filled


MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
NAMED = re.compile(rb"(?:... )?(%s)  ?(\d\d?) (\d\d):(\d\d):(\d\d)(?: (\d{4})(?= |$))?" % b"|".join(MONTHS), re.S)
RFC3339 = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d*)(?!\d)|(?!\.))(?:([+-])(\d\d):?(\d\d)|(?![+-]))", re.S
)


def seconds(year, month, day, hour, minute, second):
    days_ok = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]
    if not days_ok or hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((year, month, day, hour, minute, 0)) + second


def time_ms(line):
    """None for no time, and a string for one whose year is not said."""
    line = re.sub(rb"^<\d*>", b"", line)
    if found := RFC3339.match(line):
        if found[1] == b"0000":
            return "unknown"
        time = seconds(*map(int, found.groups()[:6]))
        if time is None:
            return None
        if found[8]:
            hours, minutes = int(found[9]), int(found[10])
            if hours > 23 or minutes > 59:
                return None
            time -= int(found[8] + b"1") * (hours * 60 + minutes) * 60
        ms = int(((found[7] or b"") + b"000")[:3])
        return time * 1000 + ms if time >= 0 else None
    if found := NAMED.match(line):
        if not found[6] or not 1970 <= int(found[6]) < 2200:
            return "unknown"
        time = seconds(int(found[6]), MONTHS.index(found[1]) + 1, *map(int, found.groups()[1:5]))
        return None if time is None else time * 1000
    return None


def timestamp(lines, verdict):
    compared = None
    for line, ours in zip(lines.split(b"\n"), verdict.split(";")[:-1]):
        expected = time_ms(line)
        if expected == "unknown":
            continue
        if ours != ("-" if expected is None else str(expected)):
            raise ValueError(f"{line!r} is {ours}, not {expected}")
        compared = True
    return compared


def main():
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, slow)
    compare = {"json": json, "regex": regex, "template": template, "timestamp": timestamp}[sys.argv[1]]
    compared, wrong = 0, []
    for line in sys.stdin:
        digits, verdict = line.rstrip("\n").split("\t")
        try:
            result = compare(unescaped(digits), verdict)
        except Slow:
            # The alarm went off between two matches.
            continue
        except (ValueError, LookupError, re.error) as error:
            result, verdict = False, f"{error!r}"
        compared += result is not None
        if result is False:
            wrong.append(f"{verdict}: {unescaped(digits)!r}"[:SHOWN_LENGTH])
    if wrong:
        print(f"{len(wrong)} of {compared} differ:", *wrong[:SHOWN], sep="\n")
        sys.exit(1)
    print(f"{compared} of them as Python has them")


main()
