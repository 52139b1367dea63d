# shellcheck shell=sh
# What OpenWrt's /lib/functions.sh does after a package is installed and before it is removed, in small.
default_postinst() {
    /etc/init.d/logknockd enable && /etc/init.d/logknockd start
}
default_prerm() {
    /etc/init.d/logknockd stop
}
