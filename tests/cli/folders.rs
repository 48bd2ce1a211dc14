//! A folder, shared as one zip.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use lapse_tests::{Lapse, Output, Share, bytes};
use serde_json::Value;

/// What Python's zipfile finds in an archive: name (Latin-1 for raw bytes) → checksum, mode, and time.
fn unpacked(zip: &Path) -> BTreeMap<String, (String, u64)> {
    let script = "import zipfile, sys, json, hashlib
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps({i.filename: [hashlib.sha256(z.read(i)).hexdigest(), i.external_attr >> 16 & 0o777] for i in z.infolist()}))";
    let mut python = Command::new("python3");
    let output = Output::of(python.args(["-c", script]).arg(zip)).success();
    let Value::Object(found) = output.json() else { return BTreeMap::new() };
    let entry = |(name, value): (String, Value)| {
        (name, (value[0].as_str().unwrap().to_owned(), value[1].as_u64().unwrap()))
    };
    found.into_iter().map(entry).collect()
}

fn sha256(content: &[u8]) -> String {
    let mut python = Command::new("python3");
    let script =
        "import sys, hashlib; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    Output::of(python.args(["-c", script]).arg(file.path())).success().stdout.trim().to_owned()
}

fn fetched(lapse: &Lapse, share: &Share) -> std::path::PathBuf {
    let answer = share.link.get();
    assert_eq!(answer.status, 200, "{answer:?}");
    lapse.file("fetched.zip", &answer.body)
}

#[test]
fn a_folder_is_packed_with_all_that_is_a_file() {
    let lapse = Lapse::new();
    let folder = lapse.folder("files").join("Trip <b> 日本");
    let large = bytes(40 << 20);
    std::fs::create_dir_all(folder.join("sub/empty")).unwrap();
    std::fs::write(folder.join("large.bin"), &large).unwrap();
    std::fs::write(folder.join("photo.jpg"), b"not squeezed again").unwrap();
    std::fs::write(folder.join("sub/a\nb \"c\".txt"), b"odd").unwrap();
    std::fs::write(folder.join("sub/nothing"), b"").unwrap();
    std::fs::write(folder.join("sub/run.sh"), b"#!/bin/sh\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("sub/run.sh"), mode).unwrap();
    std::fs::write(folder.join(OsStr::from_bytes(b"raw\xff.txt")), b"raw").unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    symlink("..", folder.join("sub/up")).unwrap();
    Output::of(&mut lapse.any(&[OsStr::new("mkfifo"), folder.join("pipe").as_os_str()])).success();

    let output = lapse.run([OsStr::new("share"), folder.as_os_str(), OsStr::new("--json")]);
    let share = Share::of(output.success().json());
    assert_eq!(share.json["name"], "Trip _b_ 日本.zip");
    let found = unpacked(&fetched(&lapse, &share));
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    for (name, content) in [
        ("large.bin", &large[..]),
        ("photo.jpg", b"not squeezed again"),
        ("sub/a\nb \"c\".txt", b"odd"),
        ("sub/nothing", b""),
        ("sub/run.sh", b"#!/bin/sh\n"),
    ] {
        assert_eq!(found[name].0, sha256(content), "{name:?}");
    }
    assert_eq!(found["sub/run.sh"].1, 0o755);
    assert!(found.contains_key("sub/") && found.contains_key("sub/empty/"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("raw")), "{names:?}");
    let told = lapse.run([OsStr::new("share"), folder.as_os_str()]).success();
    assert!(told.stderr.contains("3 things in the folder aren't packed"), "{told:#?}");
}

#[test]
fn a_thousand_files_and_none_are_packed() {
    let lapse = Lapse::new();
    let folder = lapse.folder("files").join("many");
    std::fs::create_dir(&folder).unwrap();
    assert!(unpacked(&fetched(&lapse, &lapse.share(&folder, &[]))).is_empty());
    for number in 0..1000 {
        std::fs::write(folder.join(format!("{number}.txt")), number.to_string()).unwrap();
    }
    let found = unpacked(&fetched(&lapse, &lapse.share(&folder, &[])));
    assert_eq!(found.len(), 1000);
    assert_eq!(found["999.txt"].0, sha256(b"999"));
}

#[test]
fn a_folder_with_something_that_cannot_be_read_is_not_shared() {
    let lapse = Lapse::new();
    let folder = lapse.folder("files").join("secret");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("open.txt"), "open").unwrap();
    std::fs::write(folder.join("closed.txt"), "closed").unwrap();
    std::fs::set_permissions(folder.join("closed.txt"), std::fs::Permissions::from_mode(0o000))
        .unwrap();
    // Root may read everything, unless it gives that up.
    let without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    let mut command = lapse.around(without, ["share", "secret", "--json"]);
    let output = Output::of(command.stdin(std::process::Stdio::null()));
    assert_eq!(output.error_code(), "file_unreadable", "{output:#?}");
    assert!(output.error()["message"].as_str().unwrap().contains("closed.txt"), "{output:#?}");
    assert_eq!(lapse.run(["list", "--json"]).success().stdout, "");
}
