//! The systemd unit as it stands, with a real systemd: process 1 of namespaces of its own, over this machine's files, of
//! which it changes none. Needs root, and is skipped with a word where there is no systemd or no such namespace.

mod common;

use common::{TempDir, is_emulated, is_root, outcome, skipped, works};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Gives what follows a control group of its own, for two systemds in one would end each other's services.
const GROUP: &str = r#"
set -e
mkdir groups
mount -t cgroup2 cgroup2 groups
above=groups$(sed -n 's/^0:://p' /proc/self/cgroup)
own=$above/logknockd-test-$$
mkdir "$own"
echo $$ >"$own/cgroup.procs"
timeout -s KILL 120 unshare -mpfn -C --kill-child --mount-proc sh -c "$0" "$@" || true
echo $$ >"$above/cgroup.procs"
until find "$own" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
"#;

/// Makes a root folder of the machine's own with the program, the unit and the script in it, and becomes systemd there,
/// which ends with the script.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mkdir world
mount -t tmpfs tmpfs world
mkdir world/changes world/work world/root
mount -t overlay overlay -o lowerdir=/,upperdir=world/changes,workdir=world/work world/root
root=world/root
cp "$1" $root/usr/sbin/logknockd
cp unit $root/etc/systemd/system/logknockd.service
cp script $root/usr/sbin/script
cp script.service $root/etc/systemd/system/
: >$root/usr/sbin/said
mount --bind said $root/usr/sbin/said
cd $root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do
    mount -t tmpfs -o mode=755 tmpfs $folder
done
for name in null zero full random urandom; do
    : >dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir run/lock old
pivot_root . old
umount -l old
export container=test
exec chroot . /lib/systemd/systemd --system --unit=script.service --log-target=null
"#;

const SERVICE: &str = "
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh -eu /usr/sbin/script
StandardOutput=append:/usr/sbin/said
StandardError=append:/usr/sbin/said
";

/// What the scripts use. The unit's own messages are in /run/said.
const PRELUDE: &str = r#"
echo began
mkdir /etc/systemd/system/logknockd.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\nStandardOutput=append:/run/said\nStandardError=append:/run/said\n' >/etc/systemd/system/logknockd.service.d/test.conf
systemctl daemon-reload
is() {
    until [ "$(systemctl show -P SubState logknockd)" = "$1" ]; do sleep 0.1; done
}
process() {
    systemctl show -P MainPID logknockd
}
configure() {
    printf '%s\n' "$1" >/etc/logknockd.conf
    chmod 600 /etc/logknockd.conf
}
good='{"file": "/var/log/knocks", "ruleset": [{"name": "x", "filter": "^(k)", "sequence": ["."], "actions": ["true"], "timeout": 9, "revert": ["true"]}]}'
"#;

/// What `script` says where systemd runs, or nothing, and a word about it, where none can be run.
fn said_under_systemd(script: &str) -> Option<String> {
    if !is_root() || is_emulated() || !works("unshare", &["-mpfn", "-C", "true"]) {
        skipped("no namespaces for a systemd of its own");
        return None;
    }
    if !Path::new("/lib/systemd/systemd").exists() {
        skipped("no systemd");
        return None;
    }
    let dir = TempDir::without_blanks();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/systemd/logknockd.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    dir.write("unit", unit.replace("@SBIN@", "/usr/sbin"));
    dir.write("script.service", SERVICE);
    dir.write("script", [PRELUDE, script].concat());
    dir.write("said", "");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", GROUP, BOOT, "boot"]);
    command.arg(common::binary()).current_dir(dir.path(""));
    let (_, out, errors) = outcome(&command.output().expect("unshare"));
    match dir.read("said").strip_prefix("began\n") {
        Some(said) => Some(said.into()),
        None => {
            skipped(&format!("systemd does not start here: {out}{errors}"));
            None
        }
    }
}

#[test]
fn logs_at_home_are_read_and_what_commands_write_is_seen() {
    // README's own command.
    let script = r#"
mkdir -p /home/somebody
: >/home/somebody/log
configure '{"file": "/home/somebody/log", "ruleset": [{"name": "x", "filter": "^(k)", "sequence": ["."],
    "actions": ["sh -c '\''echo \"$1\" >> /var/log/doors'\'' sh {key}"]}]}'
systemctl start logknockd
until grep -q 'logknockd [0-9]' /run/said; do sleep 0.1; done
echo k >>/home/somebody/log
until [ -s /var/log/doors ]; do sleep 0.1; done
cat /var/log/doors
"#;
    let Some(said) = said_under_systemd(script) else {
        return;
    };
    assert_eq!(said, "k\n");
}

#[test]
fn a_record_where_nothing_can_be_written_is_warned_of() {
    let script = r#"
configure "$(echo "$good" | sed 's#{#{"state": "/etc/state",#')"
systemctl start logknockd
cat /run/said
"#;
    let Some(said) = said_under_systemd(script) else {
        return;
    };
    let warning = "  warning: state \"/etc/state\": Read-only file system (errno 30): what cannot be recorded is not opened\n";
    assert!(said.contains(warning), "{said}");
}

#[test]
fn a_bad_configuration_is_not_tried_again_and_a_crash_is() {
    let script = r#"
configure '{'
systemctl start logknockd 2>/dev/null || echo "refused: $(systemctl show -P SubState logknockd)"
configure "$good"
systemctl start logknockd
is running
first=$(process)
kill -KILL "$first"
until [ "$(process)" -ne "$first" ] && [ "$(process)" -ne 0 ]; do sleep 0.1; done
is running
echo crashed and is back

configure '{'
systemctl reload logknockd 2>/dev/null || echo "not reloaded: $(systemctl show -P SubState logknockd)"
kill -KILL "$(process)"
is failed
echo crashed and is not back

# It fails while it runs: another daemon has the record.
configure "$good"
: >/run/other
logknockd 2>>/run/other &
until grep -q "logknockd [0-9]" /run/other; do sleep 0.1; done
systemctl start logknockd
until [ "$(systemctl show -P NRestarts logknockd)" -gt 0 ]; do sleep 0.1; done
kill $!
wait $!
is running
echo failed and is back
"#;
    let Some(said) = said_under_systemd(script) else {
        return;
    };
    let expected = "refused: failed\ncrashed and is back\nnot reloaded: running\n\
                    crashed and is not back\nfailed and is back\n";
    assert_eq!(said, expected);
}
