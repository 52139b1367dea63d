//! The examples for Linux, with real firewalls and a real SSH server: shut, knock, open, shut again.
//!
//! Two machines, which are network namespaces: the server has the firewall, sshd and logknockd, started from the example
//! as it stands (only the times are shorter and the record lies elsewhere); the client knocks with `examples/knock`. The
//! kernel's log is this machine's own. Needs root, and is skipped with a word where something is missing.

mod common;

use common::{Daemon, PATIENCE, TempDir, outcome, skipped, works};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

/// The kernel logs nothing that happens in other network namespaces than the first, unless this says 1. Whoever has it
/// locked has his turn: it is everybody's, and so is the kernel's log.
const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const SERVER: [&str; 2] = ["10.97.0.1", "fd97::1"];
const PORTS: [&str; 4] = ["7411", "3907", "9230", "5642"];
const WRONG: [&str; 4] = ["7411", "9230", "3907", "5642"];

/// What the server sees of itself: files of its own where firewalls keep their rules.
const ENTER: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p "$0/ufw" "$0/firewalld" /run/sshd /run/dbus
for name in ufw firewalld; do
    [ ! -d /etc/$name ] || mount --bind "$0/$name" /etc/$name
done
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$0/bus"
exec "$@""#;

struct World {
    _turn: File,
    dir: TempDir,
    log_all: String,
    children: Vec<Child>,
}

fn example(name: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    examples.join(name)
}

fn namespace(who: &str) -> String {
    format!("knock-{}-{who}", std::process::id())
}

fn succeed(command: &mut Command) -> String {
    let (status, out, errors) = outcome(&command.output().expect("run"));
    assert_eq!(status, Some(0), "{command:?}: {out}{errors}");
    out
}

impl World {
    /// None, and a word about it, where it cannot be built. `tools` are what it takes beside the usual.
    fn build(tools: &[&str]) -> Option<World> {
        if !common::is_root() {
            skipped("network namespaces that log need root");
            return None;
        }
        for tool in [
            &["ip", "nft", "sshd", "ssh-keygen", "bash", "unshare"],
            tools,
        ]
        .concat()
        {
            if !works("sh", &["-c", "command -v \"$0\"", tool]) {
                skipped(&format!("no {tool}"));
                return None;
            }
        }
        let Ok(turn) = File::open(LOG_ALL) else {
            skipped("the kernel cannot log from network namespaces");
            return None;
        };
        turn.lock().expect("its turn");
        let log_all = fs::read_to_string(LOG_ALL).expect("the switch");
        if fs::write(LOG_ALL, "1").is_err() || !works("ip", &["netns", "add", &namespace("server")])
        {
            let _ = fs::write(LOG_ALL, log_all);
            skipped("no network namespaces that log");
            return None;
        }
        let mut world = World {
            _turn: turn,
            dir: TempDir::without_blanks(),
            log_all,
            children: Vec::new(),
        };
        world.connect();
        world.start_sshd();
        Some(world)
    }

    /// Joins the two by a cable.
    fn connect(&self) {
        let (server, client) = (namespace("server"), namespace("client"));
        let ip = |arguments: &str| {
            let arguments = arguments
                .replace("SERVER", &server)
                .replace("CLIENT", &client);
            succeed(Command::new("ip").args(arguments.split(' ')));
        };
        ip("netns add CLIENT");
        ip("-n SERVER link add wan type veth peer name wan netns CLIENT");
        for (name, number) in [("SERVER", 1), ("CLIENT", 2)] {
            ip(&format!(
                "-n {name} address add 10.97.0.{number}/24 dev wan"
            ));
            ip(&format!(
                "-n {name} address add fd97::{number}/64 dev wan nodad"
            ));
            ip(&format!("-n {name} link set lo up"));
            ip(&format!("-n {name} link set wan up"));
        }
    }

    /// A program on the client or the server.
    fn on(&self, who: &str, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace(who)]);
        if who == "server" {
            command.args(["unshare", "-m", "sh", "-c", ENTER, &self.dir.text("")]);
        }
        command.arg(program).args(arguments);
        command.current_dir(self.dir.path("")).stdin(Stdio::null());
        command
    }

    fn start_sshd(&mut self) {
        let key = self.dir.text("key");
        succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]));
        let arguments = [
            "-D",
            "-e",
            "-f",
            "/dev/null",
            "-h",
            &key,
            "-o",
            "PidFile=none",
        ];
        let path = succeed(Command::new("sh").args(["-c", "command -v sshd"]));
        let mut sshd = self.on("server", path.trim_end(), &arguments);
        sshd.stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(sshd.spawn().expect("sshd"));
        self.wait("no sshd", |world| {
            world.is_open(SERVER[0]) && world.is_open(SERVER[1])
        });
    }

    fn wait(&self, what: &str, mut done: impl FnMut(&World) -> bool) {
        let limit = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < limit, "{what}");
        }
    }

    /// Whether the client hears from the SSH server.
    fn is_open(&self, address: &str) -> bool {
        const GREETING: &str = "exec 3<>/dev/tcp/$0/22; read -r line <&3; echo $line";
        let greet = ["1", "bash", "-c", GREETING, address];
        let output = self.on("client", "timeout", &greet).output().expect("bash");
        String::from_utf8_lossy(&output.stdout).starts_with("SSH-2.0-")
    }

    /// `name` of the examples as it stands, but for `changes` (shorter times), and with its record here.
    fn start(&self, name: &str, changes: &[(&str, &str)]) -> Daemon {
        let state = self.dir.text("state");
        let mut config = fs::read_to_string(example(name)).expect(name);
        for (old, new) in changes {
            assert!(config.contains(old), "{old}: {config}");
            config = config.replace(old, new);
        }
        let config = config.replace("/var/lib/logknockd/state", &state);
        let config = match config.contains(&state) {
            true => config,
            false => config.replacen('{', &format!("{{\"state\": \"{state}\","), 1),
        };
        self.dir.configure(&config);
        let binary = common::binary();
        let binary = binary.to_str().expect("its path");
        let mut daemon = Daemon::spawn(&mut self.on("server", binary, &["-c", common::CONFIG]));
        daemon.wait_until_watching();
        daemon
    }

    /// Has nft read `name` of the examples.
    fn load(&self, name: &str) {
        let rules = example(name);
        succeed(&mut self.on("server", "nft", &["-f", rules.to_str().unwrap()]));
    }

    fn knock(&self, address: &str, ports: &[&str]) -> Output {
        let client = example("knock");
        let arguments = [&["-d", "0.05", address], ports].concat();
        self.on("client", client.to_str().expect("its path"), &arguments)
            .output()
            .expect("the client")
    }

    /// Shut, wrong knock, knock, open for this family alone, shut again; by IPv4 and by IPv6.
    fn shut_knock_open_shut(&self, daemon: &mut Daemon, wrong: &[&str], right: &[&str]) {
        for (address, other) in [(SERVER[0], SERVER[1]), (SERVER[1], SERVER[0])] {
            assert!(
                !self.is_open(address),
                "{address} is open before anybody has knocked"
            );
            self.knock(address, wrong);
            self.knock(address, right);
            daemon.wait_for("opened for ");
            self.wait("it does not open", |world| world.is_open(address));
            if daemon.count("knock by ") != 1 {
                daemon.fail("what was no knock has opened");
            }
            assert!(!self.is_open(other), "{other} is open");
            daemon.wait_for("closed for ");
            assert!(!self.is_open(address), "{address} is still open");
            daemon.seen.clear();
        }
    }

    /// Runs a line on the server, of words with blanks between; a blank within a word is a no-break space here.
    fn run(&self, line: &str) -> String {
        let words: Vec<_> = line
            .split(' ')
            .map(|word| word.replace('\u{a0}', " "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        succeed(&mut self.on("server", words[0], &words[1..]))
    }

    /// A rule that the administrator has for the client himself, made by `allow`, survives a lease for the same.
    fn leave_alone(&self, daemon: &mut Daemon, right: &[&str], allow: &str, list: &str) {
        self.run(allow);
        let rules = self.run(list);
        assert!(rules.contains("10.97.0.2"), "{rules}");
        self.knock(SERVER[0], right);
        daemon.wait_for("opened for ");
        assert_ne!(self.run(list), rules);
        daemon.wait_for("closed for ");
        assert_eq!(self.run(list), rules);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for who in ["client", "server"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &namespace(who)])
                .status();
        }
        let _ = fs::write(LOG_ALL, &self.log_all);
    }
}

#[test]
fn nftables_opens_for_who_has_knocked_and_shuts_again() {
    let Some(world) = World::build(&[]) else {
        return;
    };
    world.load("linux-nft.nft");
    let mut daemon = world.start("linux-nft.conf", &[("10m", "4s")]);
    world.shut_knock_open_shut(&mut daemon, &WRONG, &PORTS);
    // What somebody else takes out comes back with the next knock, and is missed by nobody at the end.
    let flush = || {
        let set = ["flush", "set", "inet", "knock", "knock_ssh4"];
        succeed(&mut world.on("server", "nft", &set));
    };
    world.knock(SERVER[0], &PORTS);
    daemon.wait_for("opened for ");
    flush();
    daemon.signal("HUP");
    daemon.wait_for("is not there, opening it");
    daemon.wait_for("opened for ");
    assert!(world.is_open(SERVER[0]));
    flush();
    daemon.wait_for("closed for ");
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn a_set_with_timeouts_needs_no_lease() {
    let Some(world) = World::build(&[]) else {
        return;
    };
    world.load("linux-nft.nft");
    let mut daemon = world.start("linux-nft-timeout.conf", &[("10m", "3s")]);
    for (number, address) in SERVER.into_iter().enumerate() {
        assert!(!world.is_open(address), "{address} is open");
        for knocks in 1..=2 {
            world.knock(address, &PORTS);
            daemon.wait_for("running nft");
            world.wait("it does not open", |world| world.is_open(address));
            assert_eq!(daemon.count("knock by "), 2 * number + knocks);
        }
        // The second knock has begun the time anew: nothing else than the kernel ends it, and not at once.
        let opened = Instant::now();
        daemon.signal("KILL");
        daemon.exit_status();
        world.wait("it stays open", |world| !world.is_open(address));
        assert!(
            opened.elapsed().as_millis() > 1500,
            "{:?}",
            opened.elapsed()
        );
        assert_eq!(
            daemon.count("[ERROR]") + daemon.count("[WARN]"),
            0,
            "{:?}",
            daemon.seen
        );
        let seen = std::mem::take(&mut daemon.seen);
        daemon = world.start("linux-nft-timeout.conf", &[("10m", "3s")]);
        daemon.seen = seen;
    }
}

#[test]
fn ufw_opens_for_who_has_knocked_and_shuts_again() {
    let Some(world) = World::build(&["ufw"]) else {
        return;
    };
    succeed(Command::new("cp").args(["-a", "/usr/share/ufw/.", &world.dir.text("ufw")]));
    succeed(Command::new("cp").args(["-a", "/etc/ufw/.", &world.dir.text("ufw")]));
    if !world
        .on("server", "ufw", &["--force", "enable"])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        return skipped("ufw does not work here");
    }
    let script = example("linux-ufw.sh");
    // With other ports first: it can be run again.
    for ports in ["1,2", "7411,3907,9230,5642"] {
        succeed(&mut world.on("server", script.to_str().unwrap(), &[ports]));
    }
    let mut daemon = world.start("linux-ufw.conf", &[("10m", "3s")]);
    world.shut_knock_open_shut(&mut daemon, &WRONG, &PORTS);
    let added = succeed(&mut world.on("server", "ufw", &["show", "added"]));
    assert!(!added.contains("allow"), "{added}");
    let allow = "ufw allow proto tcp from 10.97.0.2 to any port 22";
    world.leave_alone(&mut daemon, &PORTS, allow, "ufw show added");
}

#[test]
fn firewalld_opens_for_who_has_knocked_and_shuts_again() {
    let Some(mut world) = World::build(&["firewalld", "dbus-daemon"]) else {
        return;
    };
    let bus = format!("--address=unix:path={}", world.dir.text("bus"));
    let mut daemon = world.on(
        "server",
        "dbus-daemon",
        &["--system", "--nofork", "--nopidfile", &bus],
    );
    world
        .children
        .push(daemon.stderr(Stdio::null()).spawn().expect("dbus-daemon"));
    world.wait("no bus", |world| world.dir.path("bus").exists());
    let mut daemon = world.on("server", "firewalld", &["--nofork", "--nopid"]);
    world.children.push(
        daemon
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("firewalld"),
    );
    let is_running = |world: &World| {
        let mut ask = world.on("server", "firewall-cmd", &["--state"]);
        ask.output().is_ok_and(|output| output.status.success())
    };
    let limit = Instant::now() + PATIENCE;
    while !is_running(&world) {
        if Instant::now() > limit {
            return skipped("firewalld does not work here");
        }
    }
    let script = example("linux-firewalld.sh");
    let shut = ["--permanent", "--remove-service=ssh"];
    succeed(&mut world.on("server", "firewall-cmd", &shut));
    // On a busy machine firewall-cmd gives up before it has its answer; the script may be run again.
    world.wait("firewalld is not set up", |world| {
        let mut script = world.on("server", script.to_str().unwrap(), &[]);
        script.output().is_ok_and(|output| output.status.success())
    });
    let mut daemon = world.start("linux-firewalld.conf", &[("10m", "5s")]);
    world.shut_knock_open_shut(&mut daemon, &WRONG, &PORTS);
    let allow = "firewall-cmd --add-rich-rule=rule\u{a0}family=ipv4\u{a0}source\u{a0}address=10.97.0.2\u{a0}\
                 service\u{a0}name=ssh\u{a0}accept";
    let list = "firewall-cmd --list-rich-rules";
    world.leave_alone(&mut daemon, &PORTS, allow, list);
}

#[test]
fn the_translation_of_a_knockd_conf_opens_with_iptables_and_shuts_again() {
    let Some(world) = World::build(&["iptables", "ip6tables"]) else {
        return;
    };
    for iptables in ["iptables", "ip6tables"] {
        // What whoever writes such a knockd.conf has, then what the example asks for.
        for rule in [
            "-P INPUT DROP",
            "-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT",
            "-A INPUT -p ipv6-icmp -j ACCEPT",
            "-A INPUT -p udp -m multiport --dports 2222,3333 -j LOG --log-prefix knock:\u{a0}",
            "-A INPUT -p tcp --syn --dport 4444 -j LOG --log-prefix knock:\u{a0}",
        ] {
            world.run(&format!("{iptables} {rule}"));
        }
    }
    let changes = [("\"timeout\": 10,", "\"timeout\": 3,")];
    let mut daemon = world.start("from-knockd.conf", &changes);
    let (wrong, right) = (
        ["2222/udp", "4444/udp", "3333/udp"],
        ["2222/udp", "4444/tcp", "3333/udp"],
    );
    world.shut_knock_open_shut(&mut daemon, &wrong, &right);
    let allow = "iptables -I INPUT -s 10.97.0.2 -p tcp --dport 22 -j ACCEPT";
    world.leave_alone(&mut daemon, &right, allow, "iptables -S INPUT");
}

#[test]
fn bans_of_both_families_shut_out_and_end() {
    let Some(world) = World::build(&[]) else {
        return;
    };
    world.load("linux-ban.nft");
    world.dir.write("log", "");
    let log = world.dir.text("log");
    let ssh = |address: &str| {
        format!(
            "Nov 22 06:00:00 host sshd[7]: Failed password for root from {address} port 5000 ssh2\n"
        )
    };
    // The clients are of the home network, which the examples never shut out.
    let changes = [
        ("/var/log/auth.log", log.as_str()),
        ("\"10.0.0.0/8\", ", ""),
        ("\"timeout\": \"1h\"", "\"timeout\": 3"),
    ];
    let mut daemon = world.start("ssh-ban.conf", &changes);
    for (server, client, other) in [
        (SERVER[0], "10.97.0.2", SERVER[1]),
        (SERVER[1], "fd97::2", SERVER[0]),
    ] {
        assert!(world.is_open(server));
        world.dir.append("log", ssh(client).repeat(4));
        assert!(world.is_open(server));
        world.dir.append("log", ssh(client));
        daemon.wait_for("opened for ");
        assert!(
            !world.is_open(server) && world.is_open(other),
            "{:?}",
            daemon.seen
        );
        daemon.wait_for("closed for ");
        assert!(world.is_open(server));
    }
}

#[test]
fn the_translation_of_a_jail_shuts_out_from_the_web_alone() {
    let Some(world) = World::build(&["nft"]) else {
        return;
    };
    world.load("linux-ban.nft");
    world.dir.write("log", "");
    let log = world.dir.text("log");
    let changes = [
        ("/var/log/nginx/error.log", log.as_str()),
        ("\"timeout\": \"1h\"", "\"timeout\": 3"),
    ];
    let mut daemon = world.start("from-fail2ban.conf", &changes);
    for client in ["10.97.0.2", "fd97::2"] {
        let failure = format!(
            "2026/11/22 06:00:00 [error] 12#12: *3 user \"bob\": password mismatch, client: {client}, server: example.org, request: \"GET / HTTP/1.1\"\n"
        );
        world.dir.append("log", failure.repeat(5));
        daemon.wait_for("opened for ");
        let sets = succeed(&mut world.on("server", "nft", &["list", "ruleset"]));
        assert_eq!(
            sets.matches(&format!("elements = {{ {client} }}")).count(),
            1,
            "{sets}"
        );
        assert!(
            world.is_open(SERVER[0]) && world.is_open(SERVER[1]),
            "ssh is not the web"
        );
        daemon.wait_for("closed for ");
        let sets = succeed(&mut world.on("server", "nft", &["list", "ruleset"]));
        assert!(!sets.contains("elements"), "{sets}");
    }
}
