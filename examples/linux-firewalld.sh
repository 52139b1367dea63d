#!/bin/sh
# firewalld's part of linux-firewalld.conf: has it log the ports of the knock, and only these, and shut them.
# SSH itself is shut by `firewall-cmd --permanent --remove-service=ssh`, once the knock works.
set -eu
[ $# -gt 0 ] || set -- 7411 3907 9230 5642
for port; do
    firewall-cmd --permanent --add-rich-rule="rule port port=$port protocol=udp log prefix='knock: ' drop"
done
firewall-cmd --reload
