# shellcheck shell=sh
# What OpenWrt's /lib/functions.sh does after a package is installed and before it is removed, in small. Which files are
# the package's: up to 23.05 that goes by the name of the script that calls, which is why it says it; with apk by the
# package's own name, which the script has exported.
of_package() {
    if [ -f "/lib/apk/packages/${pkgname-}.list" ]; then
        grep "^$1/" "/lib/apk/packages/${pkgname-}.list"
    else
        grep "^$1/" "/usr/lib/opkg/info/$(basename "${2%.*}").list"
    fi
}

default_postinst() {
    for defaults in $(of_package /etc/uci-defaults "$1"); do
        # shellcheck source=/dev/null
        (. "$defaults") && rm -f "$defaults"
    done
    for script in $(of_package /etc/init.d "$1"); do
        [ "$PKG_UPGRADE" = 1 ] || "$script" enable
        "$script" start
    done
}

default_prerm() {
    for script in $(of_package /etc/init.d "$1"); do
        [ "$PKG_UPGRADE" = 1 ] || "$script" disable
        "$script" stop
    done
}
