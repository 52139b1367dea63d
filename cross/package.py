"""What the packages for OpenWrt hold, whichever their format: files, scripts, and what they say of themselves.

cross/feed/logknockd/Makefile says the same to OpenWrt's SDK; tests/packages.rs holds the two together.
"""
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "logknockd"
CONFFILE = "etc/logknockd.conf"
_FILES = "cross/feed/logknockd/files/"
_INSTALLED = [  # name on the router, file here, mode
    ("etc/init.d/logknockd", _FILES + "logknockd.init", 0o755),
    (CONFFILE, _FILES + "logknockd.conf", 0o600),
    ("etc/uci-defaults/90-logknockd", _FILES + "logknockd.defaults", 0o644),
    ("lib/upgrade/keep.d/logknockd", _FILES + "logknockd.keep", 0o644),
    ("usr/sbin/logknockd", "target/{target}/logknockd", 0o755),
    ("usr/share/logknockd/firewall.include", _FILES + "firewall.include", 0o644),
]

# What the scripts of OpenWrt's own packages begin with.
_PREAMBLE = """#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
export root="${IPKG_INSTROOT}"
export pkgname="logknockd"
"""
# Runs what is in /etc/uci-defaults, enables and starts the service. OpenWrt up to 23.05 takes the package's name from
# that of the script, later ones from $pkgname.
AFTER_INSTALLING = _PREAMBLE + 'default_postinst "$0" "$@"\n'
# Stops the service and disables it; then the firewall has nobody to tell any more.
BEFORE_REMOVING = _PREAMBLE + """default_prerm "$0" "$@"
[ -n "${root}" ] || [ "${PKG_UPGRADE}" = "1" ] || {
    uci -q delete firewall.logknockd && uci commit firewall
}
exit 0
"""
# Only start follows, by which procd would leave what runs as it is: the old program would run on.
BEFORE_UPGRADING = """#!/bin/sh
[ -n "${IPKG_INSTROOT}" ] || [ ! -x /etc/init.d/logknockd ] || /etc/init.d/logknockd stop
exit 0
"""


def _of_cargo(key):
    return re.search(rf'^{key} = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


VERSION = _of_cargo("version")
SUMMARY = _of_cargo("description")
LICENSE = _of_cargo("license")


def files(target):
    """(name, mode, content) of everything that is installed, in the order of the names."""
    return [(name, mode, (ROOT / here.format(target=target)).read_bytes()) for name, here, mode in _INSTALLED]


def compressed(content, form):
    """`content` by zopfli, a fortieth smaller than by zlib, and read like that; `form` is --gzip or --deflate."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return subprocess.run(["zopfli", form, "-c", file.name], stdout=subprocess.PIPE, check=True).stdout


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    print(f"{path.relative_to(ROOT)}: {len(content)} bytes")
