#!/bin/sh
# ufw's part of linux-ufw.conf: has it log the ports of the knock, and only these, and shut them. What ufw logs by itself
# will not do: three lines a minute, so a scan would drown the knock. Can be run again, with other ports.
# SSH itself is shut as soon as ufw has no rule that opens it: `ufw delete allow OpenSSH`, once the knock works.
set -eu
ports=${1:-7411,3907,9230,5642}

for six in "" 6; do
    rules=/etc/ufw/before$six.rules
    rule="-A ufw$six-before-input -p udp -m multiport --dports $ports -m comment --comment knock -j"
    sed -i -e '/--comment knock /d' -e "/^\*filter/,/^COMMIT/ s/^COMMIT/$rule LOG --log-prefix \"knock: \"\n$rule DROP\n&/" "$rules"
done
ufw reload
