#!/usr/bin/env perl
# Writes the table of src/text.rs: every character that does something or shows nothing, by Unicode's own properties.
# Categories Cc and Cf (controls, marks of direction and format), Zl and Zp (separators of lines and paragraphs), and
# Default_Ignorable_Code_Point, which holds what is left blank though it is a letter (fillers), tags, selectors, and the
# places that are reserved for more of the same. Perl carries the properties; tests/printability.rs compares.
use strict;
use warnings;
use utf8;

my ($first, $last, @ranges);
for my $code (0 .. 0x10ffff) {
    next if $code >= 0xd800 && $code < 0xe000;
    no warnings;
    next unless chr($code) =~ /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
    if (defined $last && $code == $last + 1) {
        $last = $code;
        next;
    }
    push @ranges, [$first, $last] if defined $first;
    $first = $last = $code;
}
push @ranges, [$first, $last];
printf "    (0x%x, 0x%x),\n", @$_ for @ranges;
