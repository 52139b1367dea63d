//! What is packed for OpenWrt: by `cross/ipk` and `cross/apk`, and by the feed package, as far as that can be tried
//! without OpenWrt's build system.

mod common;

use common::{PATIENCE, TempDir, outcome, skipped, works};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a program in `folder`, which must succeed.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let (status, out, errors) = outcome(&command.output().expect(program));
    assert_eq!(status, Some(0), "{program} {arguments:?}\n{out}{errors}");
    out
}

/// What is needed of the project, with something in place of the program.
fn clone() -> TempDir {
    let dir = TempDir::without_blanks();
    let names = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "src",
        "cross",
    ];
    for name in names {
        run(Path::new(PROJECT), "cp", &["-R", name, &dir.text("")]);
    }
    dir.mkdir("target/x");
    dir.write(
        "target/x/logknockd",
        [b"a program ".repeat(7000), vec![0; 70_000]].concat(),
    );
    dir
}

/// Whether there is what packs.
fn can_pack() -> bool {
    works("python3", &["--version"]) && works("zopfli", &["-h"])
}

/// Packs in both formats; where the packages are.
fn packed(dir: &TempDir) -> (PathBuf, PathBuf) {
    for packer in ["cross/ipk", "cross/apk"] {
        run(&dir.path(""), "python3", &["-B", packer, "mipsel_24kc:x"]);
    }
    (
        dir.path(&format!("target/ipk/logknockd_{VERSION}-1_mipsel_24kc.ipk")),
        dir.path(&format!(
            "target/apk/logknockd-{VERSION}-r1_mipsel_24kc.apk"
        )),
    )
}

fn unpack_apk(dir: &TempDir, package: &Path, into: &str) -> Option<i32> {
    let mut command = Command::new("python3");
    command.args(["-B", "cross/unapk"]).arg(package).arg(into);
    outcome(&command.current_dir(dir.path("")).output().expect("python3")).0
}

/// Every file below `folder` with its mode and content.
fn tree(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let listing = run(folder, "find", &[".", "-type", "f"]);
    let file = |name: &str| {
        let path = folder.join(name);
        let mode = fs::metadata(&path).expect(name).permissions().mode() & 0o7777;
        (name.into(), (mode, fs::read(path).expect(name)))
    };
    listing.lines().map(file).collect()
}

#[test]
fn packing_twice_gives_the_same_packages() {
    if !can_pack() {
        return skipped("no python3 or no zopfli to pack with");
    }
    let (one, other) = (clone(), clone());
    let ((ipk, apk), (ipk_again, apk_again)) = (packed(&one), packed(&other));
    for (package, again) in [(ipk, ipk_again), (apk, apk_again)] {
        assert!(
            fs::read(&package).unwrap() == fs::read(again).unwrap(),
            "{package:?}"
        );
    }
}

#[test]
fn both_formats_install_the_same() {
    if !can_pack() {
        return skipped("no python3 or no zopfli to pack with");
    }
    let dir = clone();
    let (ipk, apk) = packed(&dir);
    dir.mkdir("ipk");
    run(
        &dir.path("ipk"),
        "tar",
        &["-xzf", ipk.to_str().unwrap(), "./data.tar.gz"],
    );
    dir.mkdir("ipk/data");
    run(&dir.path("ipk/data"), "tar", &["-xzpf", "../data.tar.gz"]);
    assert_eq!(unpack_apk(&dir, &apk, "apk"), Some(0));
    let from_ipk = tree(&dir.path("ipk/data"));
    let mut from_apk = tree(&dir.path("apk/data"));
    // What only apk wants to know.
    from_apk.retain(|name, _| !name.starts_with("./lib/apk/packages/logknockd."));
    assert!(
        from_ipk == from_apk,
        "{:?} {:?}",
        from_ipk.keys(),
        from_apk.keys()
    );
    assert_eq!(from_ipk["./etc/logknockd.conf"].0, 0o600);
}

#[test]
fn a_damaged_apk_is_not_taken_for_whole() {
    if !can_pack() {
        return skipped("no python3 or no zopfli to pack with");
    }
    let dir = clone();
    let (_, apk) = packed(&dir);
    let whole = fs::read(&apk).unwrap();
    for part in 0..16 {
        let mut damaged = whole.clone();
        damaged[part * whole.len() / 16] ^= 0x10;
        dir.write("damaged.apk", &damaged);
        let status = unpack_apk(&dir, &dir.path("damaged.apk"), &format!("damaged{part}"));
        assert_eq!(status, Some(1), "part {part}");
    }
    dir.write("damaged.apk", &whole[..whole.len() - 9]);
    assert_eq!(unpack_apk(&dir, &dir.path("damaged.apk"), "cut"), Some(1));
}

/// OpenWrt's own makefiles, as far as they matter: what is defined where, in which order, and what is called.
fn build_system(dir: &TempDir) {
    dir.mkdir("top/include");
    dir.mkdir("top/feeds/packages/lang/rust");
    dir.write(
        "top/rules.mk",
        "INCLUDE_DIR:=$(TOPDIR)/include\nCP:=cp -fpR\nINSTALL_DIR:=install -d -m0755\n\
         INSTALL_BIN:=install -m0755\nINSTALL_CONF:=install -m0600\nINSTALL_DATA:=install -m0644\n",
    );
    dir.write(
        "top/include/package.mk",
        "PKG_BUILD_DIR ?= $(TOPDIR)/build/$(PKG_NAME)-$(PKG_VERSION)\n\
         PKG_INSTALL_DIR:=$(PKG_BUILD_DIR)/ipkg-install\n\
         define BuildPackage\n\
         all:\n\
         \t$(call Build/Prepare)\n\
         \tinstall -D ../../../target/x/logknockd $(PKG_INSTALL_DIR)/bin/logknockd\n\
         \tmkdir -p $(TOPDIR)/root\n\
         \t$(call Package/$(1)/install,$(TOPDIR)/root)\n\
         \tenv -i $(CARGO_PKG_VARS) /usr/bin/env >$(TOPDIR)/environment\n\
         $(file >$(TOPDIR)/preinst,$(Package/$(1)/preinst))\n\
         $(file >$(TOPDIR)/prerm,$(Package/$(1)/prerm))\n\
         $(file >$(TOPDIR)/conffiles,$(Package/$(1)/conffiles))\n\
         $(file >$(TOPDIR)/about,$(PKG_NAME) $(PKG_VERSION) $(PKG_RELEASE) $(PKG_MAINTAINER))\n\
         endef\n",
    );
    dir.write(
        "top/feeds/packages/lang/rust/rust-package.mk",
        "ifndef PKG_BUILD_DIR\n$(error package.mk must be included first)\nendif\n\
         RUST_ARCH_DEPENDS:=@(mips||mipsel)\n\
         CARGO_PKG_VARS=CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=true\n",
    );
}

#[test]
fn the_feed_package_installs_what_we_pack_and_builds_from_what_it_copies() {
    if !works("make", &["--version"]) || !works("python3", &["--version"]) {
        return skipped("no make or no python3");
    }
    let dir = clone();
    build_system(&dir);
    // feeds names a package by its folder.
    let feed = dir.path("cross/feed/logknockd");
    let top = format!("TOPDIR={}", dir.text("top"));
    let mut make = Command::new("make");
    make.args(["-s", top.as_str()])
        .env_remove("MAKEFLAGS")
        .current_dir(&feed);
    let (status, out, errors) = outcome(&make.output().expect("make"));
    assert_eq!((status, errors.as_str()), (Some(0), ""), "{out}");

    let (ipk, _) = packed(&dir);
    dir.mkdir("ipk/data");
    run(&dir.path("ipk"), "tar", &["-xzf", ipk.to_str().unwrap()]);
    run(&dir.path("ipk"), "tar", &["-xzf", "control.tar.gz"]);
    run(&dir.path("ipk/data"), "tar", &["-xzpf", "../data.tar.gz"]);
    let (ours, theirs) = (tree(&dir.path("ipk/data")), tree(&dir.path("top/root")));
    assert!(ours == theirs, "{:?} {:?}", ours.keys(), theirs.keys());
    assert!(
        dir.read("top/about")
            .starts_with(&format!("logknockd {VERSION} 1 "))
    );
    assert_eq!(dir.read("top/conffiles"), dir.read("ipk/conffiles"));
    // The feed's own scripts are called by what ours call themselves, so that the words differ but not the deeds.
    for (script, deed) in [
        ("preinst", "/etc/init.d/logknockd stop"),
        ("prerm", "uci -q delete firewall.logknockd"),
    ] {
        let text = dir.read(&format!("top/{script}"));
        assert!(text.starts_with("#!/bin/sh\n"), "{text}");
        assert!(
            text.contains(deed) && dir.read(&format!("ipk/{script}")).contains(deed),
            "{text}"
        );
        run(&dir.path("top"), "sh", &["-n", script]);
    }

    // The last word on panics is ours, and nothing is missing from what was copied.
    let environment = dir.read("top/environment");
    assert!(
        environment.contains("CARGO_PROFILE_RELEASE_PANIC=abort\n"),
        "{environment}"
    );
    let sources = dir.path(&format!("top/build/logknockd-{VERSION}"));
    let mut check = Command::new(env!("CARGO"));
    check.args([
        "check",
        "--quiet",
        "--release",
        "--locked",
        "--offline",
        "--bins",
    ]);
    check
        .env("CARGO_TARGET_DIR", dir.path("checked"))
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    let (status, _, errors) = outcome(&check.current_dir(sources).output().expect("cargo"));
    assert_eq!(status, Some(0), "{errors}");
}

/// The init script under the emulated router's rc.common and ubus, with its paths in a folder of the test's.
struct Service {
    dir: TempDir,
}

impl Service {
    fn new() -> Service {
        let dir = TempDir::without_blanks();
        let here = dir.text("");
        for (file, name) in [
            ("cross/feed/logknockd/files/logknockd.init", "logknockd"),
            ("tests/router/rc.common", "rc.common"),
            ("tests/router/ubus", "ubus"),
        ] {
            let text = fs::read_to_string(Path::new(PROJECT).join(file)).expect(file);
            let text = text.replace("/var/run", here.trim_end_matches('/'));
            let text = text.replace("/usr/sbin/logknockd", &dir.text("program"));
            dir.write(name, text.replace("/etc/logknockd", &dir.text("logknockd")));
            dir.chmod(name, 0o755);
        }
        // Here nobody reads the system log.
        dir.write(
            "program",
            format!(
                "#!/bin/sh\n[ \"$1\" = -s ] || exec {0} \"$@\"\nshift\nexec {0} \"$@\" 2>>{1}\n",
                common::binary().display(),
                dir.text("said")
            ),
        );
        dir.write("logger", "#!/bin/sh\ncat >&2\n");
        dir.write("said", "");
        dir.chmod("program", 0o755);
        dir.chmod("logger", 0o755);
        Service { dir }
    }

    /// service logknockd ACTION
    fn run(&self, action: &str) -> (Option<i32>, String) {
        let mut command = Command::new("sh");
        command.args([&self.dir.text("rc.common"), &self.dir.text("logknockd")]);
        let path = format!("{}:{}", self.dir.text(""), std::env::var("PATH").unwrap());
        let output = command.arg(action).env("PATH", path).output().expect("sh");
        let (status, _, errors) = outcome(&output);
        (status, errors)
    }

    /// Waits until the daemon has said `text` so often.
    fn wait_for(&self, text: &str, times: usize) {
        let limit = Instant::now() + PATIENCE;
        while self.dir.read("said").matches(text).count() < times {
            assert!(Instant::now() < limit, "{text}: {}", self.dir.read("said"));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[test]
fn a_reload_on_a_router_reaches_the_daemon_and_nothing_ends_it_for_a_wrong_configuration() {
    let service = Service::new();
    let log = format!("{:?}", service.dir.text("log"));
    let right = common::config(&log, &[common::any_rule()]);
    service.dir.configure(&right);
    let fine = (Some(0), String::new());
    assert_eq!(service.run("reload"), fine, "nothing runs yet");
    service.wait_for(common::WATCHING, 1);
    for times in 1..=2 {
        assert_eq!(service.run("reload"), fine);
        service.wait_for("reloaded", times);
    }
    service.dir.configure("{");
    let (status, errors) = service.run("reload");
    assert_eq!(status, Some(1));
    assert!(errors.contains(".conf:1:2: error: "), "{errors}");
    service.dir.configure(&right);
    assert_eq!(service.run("reload"), fine);
    service.wait_for("reloaded", 3);
    service.dir.configure("{");
    assert_eq!(service.run("restart").0, Some(1));
    service.dir.configure(&right);
    assert_eq!(service.run("reload"), fine);
    service.wait_for("reloaded", 4);
    assert_eq!(service.run("restart"), fine);
    service.wait_for(common::WATCHING, 6);
    let said = service.dir.read("said");
    assert!(!said.contains("error"), "told of a wrong one: {said}");
}
