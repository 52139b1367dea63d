//! The examples work as they stand.

mod common;

use common::{TempDir, outcome};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// What a dry run of an example prints for `log`.
fn replay(name: &str, log: &str) -> String {
    replay_config(&fs::read_to_string(example(name)).unwrap(), log)
}

fn replay_config(config: &str, log: &str) -> String {
    let dir = TempDir::new();
    dir.write("log", log);
    dir.configure(config);
    let (status, out, errors) = outcome(&dir.run(&["-n", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0), "{errors}");
    out
}

/// The kernel's line for a packet from `source` to `port`.
fn packet(time: &str, prefix: &str, source: &str, port: u16) -> String {
    format!(
        "Sun Nov 22 {time} 2026 kern.warn kernel: [  118.522941] {prefix}IN=wan OUT= MAC=00:11 \
         SRC={source} DST=198.51.100.1 LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=UDP \
         SPT=40007 DPT={port} LEN=9 \n"
    )
}

fn packets(prefix: &str, source: &str, ports: &[u16]) -> String {
    ports
        .iter()
        .map(|port| packet("06:00:00", prefix, source, *port))
        .collect()
}

#[test]
fn every_example_loads() {
    let mut count = 0;
    for entry in fs::read_dir(example("")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "conf")
        {
            let check = TempDir::new().run(&["-t", "-c", path.to_str().unwrap()]);
            let (status, out, errors) = outcome(&check);
            assert_eq!(status, Some(0), "{errors}");
            assert!(out.contains(": fine"), "{out}");
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn the_nft_example_opens_for_an_address_and_closes_after_ten_minutes() {
    let log = packets("knock: ", "203.0.113.9", &[7411, 3907, 9230, 5642])
        + &packet("06:10:00", "knock: ", "203.0.113.77", 5642);
    let expected = "\
4: knock \"ssh\" 203.0.113.9
4: open \"ssh\" 203.0.113.9
4:   run nft add element inet fw4 knock_ssh4 '{' 203.0.113.9 '}'
5: close \"ssh\" 203.0.113.9
5:   run nft delete element inet fw4 knock_ssh4 '{' 203.0.113.9 '}'
";
    assert_eq!(replay("openwrt-nft.conf", &log), expected);
    // As the kernel writes it, and as it is written everywhere else.
    let kernel = "2001:0db8:0000:0000:0000:0000:0000:0009";
    let out = replay(
        "openwrt-nft.conf",
        &packets("knock: ", kernel, &[7411, 3907, 9230, 5642]),
    );
    let expected = "4:   run nft add element inet fw4 knock_ssh6 '{' 2001:db8::9 '}'\n";
    assert!(out.ends_with(expected), "{out}");
}

#[test]
fn the_uci_example_hands_its_only_place_over() {
    let ports = [7411, 3907, 9230, 5642];
    // What fw4 does in a zone with `input DROP`, and as it comes.
    let log = packets("drop wan in: ", "203.0.113.9", &ports)
        + &packets("reject wan in: ", "203.0.113.77", &ports);
    let out = replay("openwrt-uci.conf", &log);
    let events: Vec<&str> = out
        .lines()
        .filter(|line| !line.contains("   run "))
        .collect();
    let name = "\"Forward ports for service x\"";
    let expected = [
        format!("4: knock {name} 203.0.113.9"),
        format!("4: open {name} 203.0.113.9"),
        format!("8: knock {name} 203.0.113.77"),
        format!("8: close {name} 203.0.113.9"),
        format!("8: open {name} 203.0.113.77"),
    ];
    assert_eq!(events, expected);
    assert!(
        out.contains("4:   run uci set firewall.knock_ssh.src_ip=203.0.113.9\n"),
        "{out}"
    );
}

#[test]
fn the_ban_example_bans_the_fifth_failure_and_nobody_who_is_only_named() {
    let failure = |user: &str, address: &str| {
        format!(
            "Nov 22 06:00:00 host sshd[55]: Failed password for {user} from {address} port 5000 ssh2\n"
        )
    };
    let frame = failure(
        "invalid user x from 198.51.100.5 port 22 ssh2",
        "203.0.113.9",
    )
    .repeat(4);
    assert_eq!(replay("ssh-ban.conf", &frame), "");
    let out = replay("ssh-ban.conf", &(frame + &failure("root", "203.0.113.9")));
    assert!(out.starts_with("5: knock \"ssh\" 203.0.113.9\n"), "{out}");
    assert!(
        out.ends_with("run nft add element inet filter banned4 '{' 203.0.113.9 '}'\n"),
        "{out}"
    );
    let lan = failure("root", "192.168.1.20").repeat(9);
    assert_eq!(replay("ssh-ban.conf", &lan), "");

    let dropbear = "Sun Nov 22 06:00:00 2026 authpriv.warn dropbear[9]: Bad password attempt for \
                    'root' from 203.0.113.9:41234\n";
    let out = replay("ssh-ban.conf", &dropbear.repeat(5));
    assert!(out.starts_with("5: knock \"ssh\" 203.0.113.9\n"), "{out}");
    let nonexistent = "Sun Nov 22 06:00:00 2026 authpriv.info dropbear[9]: Exit before auth from \
                       <2001:db8::9:41234>: Exited normally\n";
    let out = replay("ssh-ban.conf", &nonexistent.repeat(5));
    assert!(
        out.ends_with("run nft add element inet filter banned6 '{' 2001:db8::9 '}'\n"),
        "{out}"
    );
}

/// Whom `ssh-ban.conf` bans for a log.
fn banned(log: &str) -> BTreeSet<String> {
    keys(&replay("ssh-ban.conf", log))
}

fn keys(out: &str) -> BTreeSet<String> {
    let knocks = out
        .lines()
        .filter_map(|line| line.split_once(": knock \"ssh\" "));
    knocks.map(|(_, key)| key.into()).collect()
}

#[test]
fn every_way_to_fail_at_a_real_server_is_banned_and_nobody_else() {
    // See data/record-ssh for who does what.
    let log = fs::read_to_string(common::data("auth.log")).unwrap();
    let mut expected = BTreeSet::new();
    expected.extend([1, 3, 5, 7, 10, 12].map(|number| format!("203.0.113.{number}")));
    expected.extend([2, 4, 6, 8, 13].map(|number| format!("2001:db8::{number}")));
    assert_eq!(banned(&log), expected);
    // Four of its lines count: one less than would be too many.
    assert!(log.contains("from 203.0.113.9 port"));
    // As OpenSSH 9.8 and later call themselves.
    assert_eq!(banned(&log.replace(" sshd[", " sshd-session[")), expected);
    // As OpenWrt's logd writes lines down.
    let openwrt = log
        .replace("Nov 22 ", "Sun Nov 22 ")
        .replace(" host ", " 2026 auth.info ");
    assert_eq!(banned(&openwrt), expected);
}

#[test]
fn a_file_that_sshd_writes_itself_is_read_by_filters_without_what_comes_before_the_colon() {
    let log = fs::read_to_string(common::data("auth.log")).unwrap();
    let said = log.lines().filter_map(|line| line.split_once("]: "));
    // As sshd -E ends its lines.
    let own: String = said.map(|(_, what)| what.to_owned() + "\r\n").collect();
    assert_eq!(banned(&own), BTreeSet::new());
    let config = fs::read_to_string(example("ssh-ban.conf")).unwrap();
    let lines = config.lines().map(|line| match line.split_once("\\\\]: ") {
        Some((_, filter)) => format!("\"^{filter}\n"),
        None => format!("{line}\n"),
    });
    let config: String = lines.collect();
    assert_eq!(config.matches("\"^").count(), 7, "{config}");
    assert_eq!(keys(&replay_config(&config, &own)), banned(&log));
}

#[test]
fn a_connection_without_a_login_counts_against_who_made_it_and_not_against_whom_it_names() {
    let says = |what: &str| banned(&format!("Nov 22 06:00:00 host sshd[7]: {what}\n").repeat(5));
    for end in [
        "Connection closed by authenticating user root 203.0.113.9 port 1 [preauth]",
        "Connection reset by authenticating user root 203.0.113.9 port 1 [preauth]",
        "Disconnected from authenticating user root 203.0.113.9 port 1 [preauth]",
        // Of a user who does not exist, or who may not log in.
        "Connection closed by invalid user x 198.51.100.5 port 1 [preauth] 203.0.113.9 port 1 [preauth]",
        "Disconnecting authenticating user root 203.0.113.9 port 1: Too many authentication failures [preauth]",
        "Disconnecting invalid user x 198.51.100.5 port 1 203.0.113.9 port 1: Too many authentication failures [preauth]",
    ] {
        assert_eq!(says(end), BTreeSet::from(["203.0.113.9".into()]), "{end}");
    }
    // The client chooses why it goes, and two user names.
    for forged in [
        "Received disconnect from 203.0.113.9 port 1:11: x authenticating user x 198.51.100.5 port 1 [preauth]",
        "Received disconnect from 203.0.113.9 port 1:11: Connection closed by invalid user x 198.51.100.5 port 1 [preauth]",
        "Received disconnect from 203.0.113.9 port 1:11: Disconnecting invalid user x 198.51.100.5 port 1: Too many \
         authentication failures [preauth]",
        "Disconnecting authenticating user x 203.0.113.9 port 1: Change of username or service not allowed: \
         (x,ssh-connection) -> (x 198.51.100.5 port 1: Too many authentication failures,ssh-connection) [preauth]",
        // sshd cuts the reason behind 100 bytes, and so the bracket behind the second name and the service.
        "Disconnecting invalid user x 203.0.113.9 port 1: Change of username or service not allowed: (x,ssh-connection) -> \
         (x 198.51.100.5 port 1 [preauth]",
        "Disconnecting invalid user x 203.0.113.9 port 1: Change of username or service not allowed: (,) -> \
         ( 192.0.2.1 port 1: Too many authentication failures [preauth]",
        "Disconnecting invalid user 198.51.100.5 port 1: Too many authentication failures [preauth] 203.0.113.9 port 1: \
         Too many authentication failures [preauth]",
    ] {
        assert_eq!(says(forged), BTreeSet::new(), "{forged}");
    }
    let offer = "Unable to negotiate with 203.0.113.9 port 1: no matching key exchange method found. Their offer: \
                 Connection closed by invalid user x 198.51.100.5 port 1 [preauth]";
    assert_eq!(says(offer), BTreeSet::from(["203.0.113.9".into()]));
}

#[test]
fn what_another_program_writes_bans_nobody_whoever_it_names() {
    let tag = "Unable to negotiate with 203.0.113.9 port 1 ";
    for head in [
        "Nov  2 06:00:00 host ",
        "Sun Nov 22 06:00:00 2026 auth.info ",
        // By logread -t.
        "Sun Nov 22 06:00:00 2026 [1795327200.123] auth.info ",
        "2026-11-22T06:00:00.123456+01:00 2001:db8::1 ",
        "Nov 22 06:00:00 host auth.info ",
        "",
    ] {
        let own = format!("{head}sshd[1]: {tag}\n").repeat(5);
        assert_eq!(
            banned(&own),
            BTreeSet::from(["203.0.113.9".into()]),
            "{head}"
        );
        for other in [
            "vsftpd: pam_unix(vsftpd:auth): ruser=x",
            "sudo:      bob : COMMAND=/x",
            "su:\tx",
            "x[7]: y",
        ] {
            let forged = format!("{head}{other} sshd[1]: {tag}\n").repeat(5);
            assert_eq!(banned(&forged), BTreeSet::new(), "{head}{other}");
            let forged =
                format!("{head}{other} dropbear[1]: Exit before auth from <203.0.113.9:9>: x\n");
            assert_eq!(banned(&forged.repeat(5)), BTreeSet::new(), "{head}{other}");
        }
    }
}

#[test]
fn the_wake_on_lan_example_wakes() {
    for prefix in ["drop wan in: ", "reject wan in: "] {
        let log = packets(prefix, "203.0.113.9", &[8123, 2750, 6015]);
        let expected = "\
3: knock \"wake the server\" 203.0.113.9
3:   run etherwake -i br-lan 52:54:00:12:34:56
3:   run logger -t knock 'woken by 203.0.113.9'
";
        assert_eq!(replay("wake-on-lan.conf", &log), expected);
    }
}

#[test]
fn what_knockd_opens_and_closes_its_translation_does() {
    let packet = |second: u32, protocol: &str, port: u16| {
        let flags = match protocol {
            "TCP" => "WINDOW=64240 RES=0x00 SYN URGP=0 ",
            _ => "LEN=9 ",
        };
        format!(
            "Nov 22 06:00:{second:02} host kernel: [  118.522941] knock: IN=eth0 OUT= MAC=00:11 \
             SRC=203.0.113.9 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF \
             PROTO={protocol} SPT=40007 DPT={port} {flags}\n"
        )
    };
    let in_time = packet(1, "UDP", 2222) + &packet(2, "TCP", 4444);
    let sent_again = packet(3, "TCP", 4444);
    let command =
        "INPUT -s $1 -p tcp --dport 22 -j ACCEPT -m comment --comment knock' sh 203.0.113.9 4\n";
    let out = replay(
        "from-knockd.conf",
        &(in_time.clone() + &sent_again + &packet(16, "UDP", 3333) + &packet(26, "UDP", 9)),
    );
    let opened = "\
4: knock \"SSH\" 203.0.113.9
4: open \"SSH\" 203.0.113.9
4:   run sh -c 'ip${2#4}tables -A "
        .to_string()
        + command
        + "5: close \"SSH\" 203.0.113.9\n5:   run sh -c 'ip${2#4}tables -D ";
    assert!(out.starts_with(&opened), "{out}");
    let log = in_time.clone() + &packet(3, "UDP", 3333);
    let out = replay(
        "from-knockd.conf",
        &log.replace("203.0.113.9", "2001:0db8::0:9"),
    );
    assert!(out.contains("knock' sh 2001:db8::9 6\n"), "{out}");
    let late = in_time.clone() + &packet(17, "UDP", 3333);
    assert_eq!(replay("from-knockd.conf", &late), "");
    let wrong_protocol = in_time + &packet(3, "TCP", 3333);
    assert_eq!(replay("from-knockd.conf", &wrong_protocol), "");
}

#[test]
fn what_fail2ban_bans_its_translation_bans() {
    let failure = |user: &str, address: &str| {
        format!(
            "2026/11/22 06:00:00 [error] 12#12: *3 user \"{user}\": password mismatch, client: \
             {address}, server: example.org, request: \"GET / HTTP/1.1\", host: \"example.org\"\n"
        )
    };
    let banned = |log: &str| -> Vec<String> {
        let out = replay("from-fail2ban.conf", log);
        let commands = out.lines().filter_map(|line| line.split_once("  run "));
        commands.map(|(_, command)| command.into()).collect()
    };
    assert!(banned(&failure("bob", "203.0.113.9").repeat(4)).is_empty());
    assert_eq!(
        banned(&failure("bob", "203.0.113.9").repeat(5)),
        ["nft add element inet filter web4 '{' 203.0.113.9 '}'"]
    );
    assert_eq!(
        banned(&failure("bob", "2001:db8::9").repeat(5)),
        ["nft add element inet filter web6 '{' 2001:db8::9 '}'"]
    );
    for ignored in ["127.0.0.1", "192.168.1.7", "::1"] {
        assert!(banned(&failure("bob", ignored).repeat(9)).is_empty());
    }
    // What a stranger chooses stands behind the address: it neither accuses nor excuses anybody.
    let referrer = ", referrer: \"x\": password mismatch, client: 192.168.1.7, server: \"\n";
    let framing = failure("bob", "203.0.113.9").replace('\n', referrer);
    assert_eq!(
        banned(&framing.repeat(5)),
        ["nft add element inet filter web4 '{' 203.0.113.9 '}'"]
    );
    let not_found = failure("bob", "203.0.113.9")
        .replace("password mismatch", "was not found in \"/etc/users\"");
    assert_eq!(banned(&not_found.repeat(5)).len(), 1);
}
