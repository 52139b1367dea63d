# shellcheck shell=sh
# What OpenWrt's /lib/functions.sh does after a package is installed and before it is removed, in small.
add_group_and_user() { :; }

default_postinst() {
    for defaults in /etc/uci-defaults/*; do
        # shellcheck source=/dev/null
        (. "$defaults") && rm -f "$defaults"
    done
    [ "$PKG_UPGRADE" = 1 ] || /etc/init.d/logknockd enable
    /etc/init.d/logknockd start
}

default_prerm() {
    [ "$PKG_UPGRADE" = 1 ] || /etc/init.d/logknockd disable
    /etc/init.d/logknockd stop
}
