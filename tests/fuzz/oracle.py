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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import addresses

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


def address(text, verdict):
    if not text.isascii():
        return None
    return (addresses.spelling(text.decode()) or "-") == verdict


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
MONTH = b"(?:" + b"|".join(b"[%c%c]%s" % (name[0], name[0] + 32, name[1:]) for name in MONTHS) + b")"
CLOCK = rb"(\d\d):(\d\d):(\d\d)(?:[.,](\d*))?+"
ISO = re.compile(rb"(\d{4})([-/])(\d\d)\2(\d\d)[T ]" + CLOCK)
ACCESS = re.compile(rb"(\d\d)/(" + MONTH + rb")/(\d{4}):" + CLOCK)
ZONE = re.compile(rb"( ?)([+-])(?:(\d\d):?(\d\d))?")
EPOCH = re.compile(rb"([012]\d{9})(?![-/\d])(?:[.,](\d*))?+(?![0-9A-Za-z])")
KERNEL = re.compile(rb"(\d{1,10})\.(\d*)\]")
WEEKDAY = rb"(?:(?!" + MONTH + rb")... )?"
ROUTEROS = re.compile(WEEKDAY + rb"(" + MONTH + rb")/(\d\d)/(\d{4}) " + CLOCK, re.S)
NAMED = re.compile(WEEKDAY + rb"(" + MONTH + rb")  ?(\d\d?) " + CLOCK + rb"(?: (\d{4})(?=[ \]]|\Z))?", re.S)


def seconds(year, month, day, hour, minute, second):
    days_ok = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]
    if not days_ok or hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((year, month, day, hour, minute, 0)) + second


def milliseconds(fraction):
    return int(((fraction or b"") + b"000")[:3])


def month(name):
    return MONTHS.index(name.capitalize()) + 1


def moment(year, month, day, clock, offset=0):
    if int(year) == 0:
        return "unknown"
    time = seconds(int(year), int(month), int(day), *map(int, clock[:3]))
    if time is None or int(year) < 1970 or not 0 <= time - offset < 2**32:
        return None
    return (time - offset) * 1000 + milliseconds(clock[3])


def numbered(text, bracketed):
    if found := ISO.match(text):
        date, clock = (found[1], found[3], found[4]), found.groups()[4:]
    elif found := ACCESS.match(text):
        date, clock = (found[3], month(found[2]), found[1]), found.groups()[3:]
    elif found := EPOCH.match(text):
        return int(found[1]) * 1000 + milliseconds(found[2])
    elif bracketed and not re.match(rb"[012]\d{9}\.", text) and (found := KERNEL.match(text)):
        return int(found[1]) * 1000 + milliseconds(found[2]) if int(found[1]) < 2**32 else None
    else:
        return None
    offset = 0
    if zone := ZONE.match(text, found.end()):
        if zone[3] and int(zone[3]) < 24 and int(zone[4]) < 60:
            offset = int(zone[2] + b"1") * (int(zone[3]) * 60 + int(zone[4])) * 60
        elif not zone[1]:
            return None
    return moment(*date, clock, offset)


def beginning(line):
    text = re.sub(rb"^<\d*>", b"", line)
    bracketed = text.startswith(b"[")
    text = re.sub(rb"^\[ *", b"", text)
    if re.match(rb"\d", text):
        return numbered(text, bracketed)
    if found := ROUTEROS.match(text):
        return moment(found[3], month(found[1]), found[2], found.groups()[3:])
    if found := NAMED.match(text):
        if not found[7] or not 1970 <= int(found[7]) < 2106:
            return "unknown"
        return moment(found[7], month(found[1]), found[2], found.groups()[2:6])
    return None


def time_ms(line):
    """None for no time, and a string for one whose year is not said."""
    time = beginning(line)
    if time is None:
        inside = re.search(rb"\[(?=[0-3]\d/)", line) or re.search(rb"audit\(", line)
        time = numbered(line[inside.end():], False) if inside else None
    return time


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
    compare = {"address": address, "json": json, "regex": regex, "template": template, "timestamp": timestamp}[sys.argv[1]]
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
