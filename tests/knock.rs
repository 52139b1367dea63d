//! The knock client of `examples/` sends what it says, whatever it finds to send it with.

mod common;

use common::{TempDir, outcome, skipped, works};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/knock");
const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

const FIND: &str = r#"
[ "$1" != python3 ] || exec python3 -c "import sys; print(sys.executable)"
command -v "$1""#;

/// Where a program is, if it is there: the program itself, not a script that chooses a version.
fn which(program: &str) -> Option<String> {
    let output = Command::new("sh")
        .args(["-c", FIND, "sh", program])
        .output();
    let path = String::from_utf8(output.expect("sh").stdout).expect("a path");
    (!path.is_empty()).then(|| path.trim_end().into())
}

/// A machine that has only `tool` to send packets with, called `name`; none if it is not here.
fn machine(name: &str, tool: &str) -> Option<TempDir> {
    let path = which(tool)?;
    let dir = TempDir::new();
    for program in ["sleep", "sed", "grep", "cat"] {
        let path = which(program).expect(program);
        symlink(path, dir.path(program)).expect(program);
    }
    symlink(path, dir.path(name)).expect(name);
    Some(dir)
}

/// A port that tells of everything that arrives there.
fn listen(host: IpAddr, protocol: &str, number: usize, arrived: Sender<usize>) -> Option<u16> {
    let address = SocketAddr::new(host, 0);
    if protocol == "tcp" {
        let listener = TcpListener::bind(address).ok()?;
        let port = listener.local_addr().ok()?.port();
        thread::spawn(
            move || {
                while listener.accept().is_ok() && arrived.send(number).is_ok() {}
            },
        );
        return Some(port);
    }
    let socket = UdpSocket::bind(address).ok()?;
    let port = socket.local_addr().ok()?.port();
    thread::spawn(
        move || {
            while socket.recv(&mut [0; 9]).is_ok() && arrived.send(number).is_ok() {}
        },
    );
    Some(port)
}

/// Knocks at `host` from `machine` and gives the numbers of the ports in the order packets came; none if the
/// host has no such address.
fn arrivals(
    machine: &TempDir,
    shell: &[&str],
    host: IpAddr,
    protocols: &[&str],
) -> Option<Vec<usize>> {
    let (sender, arrived) = channel();
    let mut client = Command::new(shell[0]);
    client.args(&shell[1..]).arg(CLIENT);
    // Long enough for a busy machine to start a program.
    client.args(["-d", "0.5"]).arg(host.to_string());
    for (number, protocol) in protocols.iter().enumerate() {
        let port = listen(host, protocol, number, sender.clone())?;
        client.arg(format!("{port}/{protocol}"));
    }
    client.env_clear().env("PATH", machine.path(""));
    let (status, _, told) = outcome(&client.output().expect("a shell"));
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(told.lines().count(), protocols.len(), "{told}");
    // What has been sent to ourselves is there; only the threads must say so.
    let mut order = vec![arrived.recv_timeout(common::PATIENCE).expect("a packet")];
    while order.last() != Some(&(protocols.len() - 1)) {
        order.push(
            arrived
                .recv_timeout(common::PATIENCE)
                .expect("another packet"),
        );
    }
    order.extend(arrived.try_iter());
    Some(order)
}

/// Whether there was anything to try.
fn knocks_in_order(name: &str, tool: &str, protocols: &[&str]) -> bool {
    let Some(machine) = machine(name, tool) else {
        skipped(&format!("no {tool}"));
        return false;
    };
    for host in [V4, V6] {
        let order = arrivals(&machine, &["/bin/sh"], host, protocols);
        let expected = (0..protocols.len()).collect();
        assert!(
            order.is_none() || order == Some(expected),
            "{tool} {host}: {order:?}"
        );
    }
    true
}

#[test]
fn every_packet_arrives_once_and_in_order_with_every_tool() {
    let both = ["udp", "tcp", "udp", "tcp"];
    let tcp = ["tcp"; 3];
    let tools = [
        ("bash", "bash", &both[..]),
        ("nc", "nc", &both),
        ("nc", "busybox", &tcp),
        ("python3", "python3", &both),
        ("curl", "curl", &tcp),
        ("ssh", "ssh", &tcp),
    ];
    let tried = thread::scope(|scope| {
        let start =
            |(name, tool, protocols)| scope.spawn(move || knocks_in_order(name, tool, protocols));
        let tries = tools.map(start);
        tries.map(|tried| tried.join().expect("in order"))
    });
    assert!(tried.contains(&true), "nothing to knock with");
}

#[test]
fn every_shell_runs_it() {
    let Some(machine) = machine("python3", "python3") else {
        return skipped("no python3");
    };
    for shell in [
        &["dash"][..],
        &["bash"],
        &["bash", "--posix"],
        &["busybox", "sh"],
    ] {
        let Some(path) = which(shell[0]) else {
            skipped(shell[0]);
            continue;
        };
        let shell = [&[path.as_str()], &shell[1..]].concat();
        let order = arrivals(&machine, &shell, V4, &["udp", "tcp"]);
        assert_eq!(order, Some(vec![0, 1]), "{shell:?}");
    }
}

/// In a network of its own, whose firewall drops and counts.
const COUNTED: &str = r#"
set -e
ip link set lo up
nft -f - <<END
table inet knock {
    chain input {
        type filter hook input priority 0
        udp dport 7411 counter drop
        tcp dport 3907 counter drop
        udp dport 9230 counter drop
        tcp dport 5642 counter drop
    }
}
END
PATH="$1" /bin/sh "$2" "$3" 7411 3907/tcp 9230 5642/tcp
nft list table inet knock
"#;

#[test]
fn a_firewall_that_drops_sees_every_packet_once() {
    if !works(
        "unshare",
        &["-rn", "sh", "-c", "ip link set lo up && nft list tables"],
    ) {
        return skipped("no namespaces, ip or nft");
    }
    for (tool, host) in [("bash", "127.0.0.1"), ("nc", "::1"), ("python3", "::1")] {
        let Some(machine) = machine(tool, tool) else {
            skipped(&format!("no {tool}"));
            continue;
        };
        let mut client = Command::new("unshare");
        client.args(["-rn", "sh", "-c", COUNTED, "sh"]);
        client
            .arg(machine.path(""))
            .args([CLIENT, host])
            .stdin(Stdio::null());
        let (status, counters, told) = outcome(&client.output().expect("unshare"));
        assert_eq!(status, Some(0), "{told}");
        assert_eq!(
            counters.matches("counter packets 1 ").count(),
            4,
            "{tool}: {counters}"
        );
    }
}

#[test]
fn a_name_is_looked_up_once_in_the_family_asked_for() {
    if !works("getent", &["ahostsv4", "localhost"]) {
        return skipped("no getent");
    }
    let knock =
        |arguments: &[&str]| outcome(&Command::new(CLIENT).args(arguments).output().unwrap());
    let (status, _, told) = knock(&["-4", "-d", "0.01", "localhost", "9"]);
    assert!(
        status == Some(0) && told.starts_with("knock: 127.0.0.1 9/udp, by "),
        "{told}"
    );
    let (status, _, told) = knock(&["-6", "127.0.0.one", "9"]);
    assert_eq!(
        (status, told.as_str()),
        (Some(1), "knock: no IPv6 address is known of this host\n")
    );
}

#[test]
fn bad_usage_sends_nothing() {
    for arguments in [
        &[][..],
        &["host"],
        &["host", "ssh"],
        &["host", "7/sctp"],
        &["-x", "host", "7"],
        &["--new-list"],
        &["--new-list", "list", "7000"],
        &["--new-list", "list", "7000-7005"],
        &["--new-list", "list", "7000-70000"],
        &["-n", "257", "--new-list", "list"],
        &["--one-time", "list"],
        &["--one-time", "list", "host", "7"],
        &["--twice", "list", "host"],
    ] {
        let (status, _, told) = outcome(&Command::new(CLIENT).args(arguments).output().unwrap());
        assert!(
            status == Some(2) && told.contains("usage: knock "),
            "{arguments:?}: {told}"
        );
    }
}

/// Runs the client in `dir`.
fn client(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut client = Command::new(CLIENT);
    outcome(
        &client
            .args(arguments)
            .current_dir(dir.path(""))
            .output()
            .unwrap(),
    )
}

/// The ports of a list's sequences, without the line that says which is next.
fn sequences(list: &str) -> Vec<Vec<u16>> {
    let ports = |line: &str| {
        line.split(' ')
            .map(|port| port.parse().expect(line))
            .collect()
    };
    list.lines().skip(1).map(ports).collect()
}

#[test]
fn a_new_list_is_the_users_secret_and_the_configurations_part() {
    let dir = TempDir::new();
    let (status, part, told) = client(&dir, &["-n", "256", "--new-list", "list", "7000-7999"]);
    assert_eq!(status, Some(0), "{told}");
    let list = dir.read("list");
    let mode = std::fs::metadata(dir.path("list")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o600);

    let rule = r#""name": "phone", "filter": "knock: .* SRC=([0-9.]+) ", "actions": ["true"]"#;
    let state = dir.text("state");
    dir.configure(&format!(
        "{{\"file\": \"log\", \"state\": \"{state}\", \"ruleset\": [{{{rule}, {part}}}]}}"
    ));
    let (status, shown, errors) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
    assert_eq!(status, Some(0), "{errors}");
    assert!(
        shown.contains(": 256 of 256 one-time sequences left"),
        "{shown}"
    );

    let sequences = sequences(&list);
    assert_eq!(sequences.len(), 256);
    let steps = part.lines().filter(|line| line.contains("DPT"));
    for (ports, steps) in sequences.iter().zip(steps) {
        assert!(
            ports.iter().all(|port| (7000..8000).contains(port)),
            "{ports:?}"
        );
        let different: BTreeSet<_> = ports.iter().collect();
        assert_eq!((ports.len(), different.len()), (4, 4), "{ports:?}");
        let patterns = ports.iter().map(|port| format!("\" DPT={port} \""));
        let patterns = patterns.collect::<Vec<_>>().join(", ");
        assert!(steps.contains(&format!("[{patterns}]")), "{steps}");
    }
    // Of 1024 numbers from 1000, about 640 are different; less than 560 in no million lists.
    let different: BTreeSet<_> = sequences.iter().flatten().collect();
    assert!(different.len() > 560, "{}", different.len());

    // A list in use is not lost to a slip, and no two are alike.
    let (status, part, _) = client(&dir, &["--new-list", "list"]);
    assert_eq!((status, part.as_str()), (Some(1), ""));
    assert_eq!(dir.read("list"), list);
    client(&dir, &["-n", "256", "--new-list", "another", "7000-7999"]);
    assert_ne!(dir.read("another"), list);
}

#[test]
fn a_list_keeps_its_place_and_moves_on_when_all_is_sent() {
    let dir = TempDir::new();
    let (sender, arrived) = channel();
    let mut port = |number| listen(V4, "udp", number, sender.clone()).expect("a port");
    let [a, b, c, d] = [0, 1, 2, 3].map(&mut port);
    dir.write("list", format!("next 1\n{a} {b}\n{c} {d}\n{d} {a}\n"));
    let knock = |more: &[&str], expected: &[usize], next: &str| {
        let arguments = [&["-d", "0.01", "--one-time", "list"], more, &["127.0.0.1"]].concat();
        let (status, _, told) = client(&dir, &arguments);
        assert_eq!(status, Some(0), "{told}");
        for expected in expected {
            assert_eq!(arrived.recv_timeout(common::PATIENCE), Ok(*expected));
        }
        assert_eq!(dir.read("list").lines().next(), Some(next));
    };
    knock(&[], &[0, 1], "next 2");
    knock(&[], &[2, 3], "next 3");
    knock(&["-n", "2"], &[2, 3], "next 3");
    if works("unshare", &["-rn", "true"]) {
        // No way to the host: nothing was heard, and it is still the next.
        let mut cut_off = Command::new("unshare");
        cut_off.args(["-rn", CLIENT, "--one-time", "list", "127.0.0.1"]);
        let (status, _, told) = outcome(&cut_off.current_dir(dir.path("")).output().unwrap());
        assert!(status == Some(1) || told.contains("by nc"), "{told}");
        assert!(
            status != Some(1) || dir.read("list").starts_with("next 3\n"),
            "{told}"
        );
    }
    knock(&["-n", "3"], &[3, 0], "next 4");
    let (status, _, told) = client(&dir, &["--one-time", "list", "127.0.0.1"]);
    assert_eq!(status, Some(1));
    assert_eq!(
        told,
        "knock: list: there is no sequence 4, only 3: make a new list\n"
    );
    assert!(arrived.try_recv().is_err());
}

#[test]
fn what_is_no_list_is_not_knocked_with() {
    let dir = TempDir::new();
    dir.write("empty", "");
    dir.write("other", "7411 3907\n");
    dir.write("broken", "next 1x\n7411 3907\n");
    for list in ["empty", "other", "broken"] {
        let (status, _, told) = client(&dir, &["--one-time", list, "127.0.0.1"]);
        assert_eq!(
            (status, told),
            (Some(1), format!("knock: {list}: no list\n"))
        );
    }
    let (status, _, told) = client(&dir, &["--one-time", "missing", "127.0.0.1"]);
    assert!(
        status == Some(1) && told.ends_with("knock: missing: no list\n"),
        "{told}"
    );
}
