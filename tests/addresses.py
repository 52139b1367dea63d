#!/usr/bin/env python3
"""Random addresses, networks and near misses, and what Python's ipaddress makes of them.

    addresses.py SEED COUNT

Writes COUNT lines `a TAB text TAB spelling` (`-` for what is no address) and as many
`n TAB network TAB address TAB yes/no` (`-` for what is no network). What this project decides otherwise than Python
(see src/address.rs) is written down in `spelling`.
"""

import ipaddress
import random
import re
import sys


def spelling(text):
    base, percent, zone = text.partition("%")
    if re.fullmatch("(?:[0-9A-Fa-f]{2}:){7}[0-9A-Fa-f]{2}", base):
        return None
    try:
        address = ipaddress.ip_address(base)
    except ValueError:
        return None
    if percent and not (address.version == 6 and address.is_link_local and re.fullmatch("[-\\w.@]{1,15}", zone, re.A)):
        return None
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


class Texts:
    def __init__(self, rng):
        self.rng = rng

    def four(self):
        return ".".join(str(self.rng.choice([0, 1, 9, 10, 99, 100, 192, 255, 256, 999, self.rng.randrange(256)]) if
                            self.rng.random() < 0.1 else self.rng.randrange(256)) for _ in range(4))

    def group(self):
        number = self.rng.choice([0, 0, 0, 1, 0xDB8, 0xFFFF, self.rng.randrange(0x10000)])
        text = f"{number:0{self.rng.choice([1, 1, 2, 4])}x}"
        return text.upper() if self.rng.random() < 0.2 else text

    def six(self):
        if self.rng.random() < 0.2:
            address = ipaddress.IPv6Address(self.rng.getrandbits(128) & self.rng.choice([~0, 0xFFFF << 112 | 0xFFFF]))
            return self.rng.choice([address.exploded, str(address), str(address).upper()])
        tail = [self.four()] if self.rng.random() < 0.2 else []
        count = 8 - 2 * len(tail)
        if self.rng.random() < 0.15:
            head = self.rng.choice(["::ffff:", "::FFFF:", "0:0:0:0:0:ffff:", "0000:" * 5 + "ffff:", "::", "64:ff9b::"])
            return head + (tail[0] if tail else f"{self.group()}:{self.group()}")
        groups = [self.group() for _ in range(count + self.rng.choice([0, 0, 0, 0, 1, -1]))]
        if self.rng.random() < 0.6:
            start = self.rng.randrange(len(groups) + 1)
            stop = min(len(groups), start + self.rng.randrange(8))
            return ":".join(groups[:start]) + "::" + ":".join(groups[stop:] + tail)
        return ":".join(groups + tail)

    def address(self):
        text = self.four() if self.rng.random() < 0.3 else self.six()
        if self.rng.random() < 0.1:
            text = "fe80::" + self.group()
        if self.rng.random() < 0.08:
            text += "%" + self.rng.choice(["eth0", "br-lan.5", "", "1", "wan@x", "a b", "interface-names", "interface-names5"])
        if self.rng.random() < 0.2:
            at = self.rng.randrange(len(text) + 1)
            text = text[:at] + self.rng.choice([":", ".", "0", "1", "f", "g", "", " ", "-"]) + text[at + self.rng.randrange(2):]
        return text


def network(texts, rng):
    written = texts.address()
    address = spelling(written)
    if address is None or "%" in written or rng.random() < 0.05:
        return f"{written}/{rng.choice(['', '333', '129', 'x', '-1', '08a', '1000'])}", "-", "-"
    six = ":" in written
    number = int(ipaddress.IPv6Address(written) if six else ipaddress.IPv4Address(written))
    width = 128 if six else 32
    length = rng.choice([0, 1, 7, 8, 9, 16, 31, 32, rng.randrange(width + 1), width])
    kept = number >> (width - length) << (width - length)
    if rng.random() < 0.85:
        number = kept
    first = (ipaddress.IPv6Address if six else ipaddress.IPv4Address)(number)
    text = f"{first}/{length}"
    if number != kept or spelling(str(first)) is None:
        return text, "-", "-"
    # An address in it, or one that differs in any bit.
    other = kept | rng.getrandbits(width) & (1 << (width - length)) - 1
    if rng.random() < 0.5:
        other ^= 1 << rng.randrange(width)
    other = (ipaddress.IPv6Address if six else ipaddress.IPv4Address)(other)
    if rng.random() < 0.1:
        other = ipaddress.ip_address(rng.choice(["192.0.2.1", "2001:db8::1", "::", "0.0.0.0"]))
    key = spelling(str(other))
    if key is None:
        return network(texts, rng)
    # An IPv4 address that IPv6 carries is an IPv4 address, in no network of IPv6 but those within ::ffff:0:0/96.
    carries = six and first.ipv4_mapped is not None and length >= 96
    key = ipaddress.ip_address(key)
    if carries:
        key = ipaddress.IPv6Address(f"::ffff:{key}") if key.version == 4 else key
    inside = key.version == first.version and key in ipaddress.ip_network(text)
    return text, str(other), "yes" if inside else "no"


def main():
    seed, count = map(int, sys.argv[1:])
    rng = random.Random(seed)
    texts = Texts(rng)
    for _ in range(count):
        text = texts.address()
        print("a", text, spelling(text) or "-", sep="\t")
        print("n", *network(texts, rng), sep="\t")


if __name__ == "__main__":
    main()
