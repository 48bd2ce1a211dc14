//! The Debian package: that it brings both programs, and that a desktop finds them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use lapse_tests::rig::scratch;
use lapse_tests::{Output, leaks};
use tempfile::TempDir;

struct Package {
    folder: TempDir,
}

impl Package {
    /// Unpacks the package that `src-tauri/linux/package.sh debug` built beside this test.
    fn unpacked() -> Self {
        let built = lapse_tests::lapse::binary().with_file_name("bundle/deb");
        let debs: Vec<PathBuf> = leaks::files(&built)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "deb"))
            .collect();
        assert_eq!(debs.len(), 1, "not one package in {}: {debs:?}", built.display());
        let folder = scratch();
        Output::of(Command::new("dpkg-deb").arg("-x").arg(&debs[0]).arg(folder.path())).success();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        assert!(path.exists(), "the package has no {name}");
        path
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A program of this computer that judges a file of the package.
    fn judged_by(&self, words: &[&str], name: &str) {
        Output::of(Command::new(words[0]).args(&words[1..]).arg(self.path(name))).success();
    }

    /// The values of a key in a file of the package, in any of its groups.
    fn values(&self, name: &str, key: &str) -> Vec<String> {
        let text = self.text(name);
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(found, _)| *found == key).map(|(_, value)| value.to_owned()).collect()
    }
}

/// Each place in which a file manager looks for what it adds to its menu.
const MENUS: &[&str] = &[
    "usr/share/kio/servicemenus/lapse.desktop",
    "usr/share/nemo/actions/lapse.nemo_action",
    "usr/share/file-manager/actions/lapse.desktop",
];

#[test]
fn the_package_brings_both_programs() {
    let package = Package::unpacked();
    let version = Output::of(Command::new(package.path("usr/bin/lapse")).arg("--version"));
    assert_eq!(version.success().stdout, format!("lapse {}\n", env!("CARGO_PKG_VERSION")));
    let needed =
        Output::of(Command::new("ldd").arg(package.path("usr/bin/lapse-desktop"))).success();
    assert!(needed.stdout.contains("libwebkit2gtk-4.1"), "{}", needed.stdout);
    assert!(!needed.stdout.contains("not found"), "{}", needed.stdout);
}

#[test]
fn a_desktop_shows_the_package_with_its_icon() {
    let package = Package::unpacked();
    let entry = "usr/share/applications/Lapse.desktop";
    package.judged_by(&["desktop-file-validate", "--warn-kde"], entry);
    assert_eq!(package.values(entry, "Exec"), ["lapse-desktop %F"]);
    assert_eq!(package.values(entry, "Icon"), ["lapse-desktop"]);
    for size in ["32x32", "128x128", "256x256@2", "512x512"] {
        package.path(&format!("usr/share/icons/hicolor/{size}/apps/lapse-desktop.png"));
    }
    package.path("usr/share/icons/hicolor/scalable/apps/lapse-desktop.svg");

    let metainfo = "usr/share/metainfo/app.lapse.desktop.metainfo.xml";
    package.judged_by(&["appstreamcli", "validate", "--no-net"], metainfo);
    assert!(package.text(metainfo).contains("<launchable type=\"desktop-id\">Lapse.desktop<"));
}

/// A double click on a file that no other program opens must not give it away.
#[test]
fn the_package_opens_no_kind_of_file_by_itself() {
    let package = Package::unpacked();
    let entry = "usr/share/applications/Lapse.desktop";
    assert_eq!(package.values(entry, "MimeType"), Vec::<String>::new());
}

#[test]
fn file_managers_offer_to_share_with_lapse() {
    let package = Package::unpacked();
    for menu in MENUS {
        assert_eq!(package.values(menu, "Name").last().unwrap(), "Share with Lapse", "{menu}");
        let lines = package.values(menu, "Exec");
        assert_eq!(lines.len(), 1, "{menu}: {lines:?}");
        // A name that looks like an option stays a name.
        let (command, placed) = lines[0].split_once(" -- ").unwrap();
        assert_eq!(command, "lapse-desktop", "{menu}");
        assert!(["%F", "%U"].contains(&placed), "{menu}: {placed}");
    }
    let nautilus = package.path("usr/share/nautilus-python/extensions/share_with_lapse.py");
    let read = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
    Output::of(Command::new("python3").args(["-c", read]).arg(nautilus)).success();
}

#[test]
fn shells_complete_the_packages_command() {
    let package = Package::unpacked();
    package.judged_by(&["bash", "-n"], "usr/share/bash-completion/completions/lapse");
    package.judged_by(&["zsh", "-n"], "usr/share/zsh/vendor-completions/_lapse");
    package.judged_by(&["fish", "--no-execute"], "usr/share/fish/vendor_completions.d/lapse.fish");
}

#[test]
fn nothing_in_the_package_is_anyones_to_change() {
    use std::os::unix::fs::PermissionsExt;
    let package = Package::unpacked();
    let root = package.folder.path();
    let mut programs = BTreeSet::new();
    for path in leaks::files(root) {
        let mode = path.metadata().unwrap().permissions().mode();
        let name = path.strip_prefix(root).unwrap().to_owned();
        assert_eq!(mode & 0o7022, 0, "{}: {mode:o}", name.display());
        if mode & 0o111 != 0 {
            programs.insert(name);
        }
    }
    let wanted = ["usr/bin/lapse", "usr/bin/lapse-desktop"];
    assert_eq!(programs, wanted.map(|name| Path::new(name).to_owned()).into());
}
