//! Watched folders on disks that are full, taken out, elsewhere, or silent.

use std::path::PathBuf;

use lapse_tests::{Lapse, Output};

/// Runs a script that may mount what nobody else sees; `see WORDS` waits until the list of folders has them. What runs
/// still at its end, as `$run` and `$disk`, is ended.
fn with_a_disk(lapse: &Lapse, script: &str) -> Output {
    let bin = lapse_tests::lapse::binary();
    let see = "see() { for i in $(seq 600); do lapse watch list --json | grep -q \"$1\" && return; sleep 0.1; done; lapse watch list --json; exit 9; }";
    let end = "trap 'set +e; kill -9 $run $disk 2>/dev/null; umount -l d 2>/dev/null' EXIT";
    let script = format!("lapse() {{ {} \"$@\"; }}; {see}; {end}; set -e; {script}", bin.display());
    let namespace: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--map-root-user", "--mount"]
    };
    let words = [namespace, &["sh", "-c", &script]].concat();
    Output::of(&mut lapse.any(&words))
}

/// What serves a disk, and the Python for it.
fn disk() -> (PathBuf, PathBuf) {
    (lapse_tests::rig::python(), lapse_tests::rig::servers().join("disk.py"))
}

#[test]
fn a_full_disk_loses_nothing() {
    let lapse = Lapse::new();
    let bin = lapse_tests::lapse::binary();
    let bin = bin.display();
    let output = with_a_disk(
        &lapse,
        &format!(
            "mkdir -p \"$LAPSE_HOME\" d; mount -t tmpfs -o size=24m,mode=700 tmpfs \"$LAPSE_HOME\"
             lapse watch add d; {bin} watch run 2>/dev/null & run=$!
             sleep 2; echo one > d/1.txt; see '\"shared\":1'
             cat /dev/zero > \"$LAPSE_HOME/filler\" 2>/dev/null || true
             for i in 2 3 4; do head -c 300000 /dev/urandom > d/$i.txt; done
             sleep 6; rm \"$LAPSE_HOME/filler\"
             see '\"shared\":4'
             kill $run; wait $run
             lapse list --json | grep -c active; lapse store stop"
        ),
    );
    assert_eq!(output.stdout, "4\n", "{output:#?}");
}

#[test]
fn a_disk_that_is_taken_out_lets_the_folder_wait_and_another_one_in_its_place_isnt_taken_for_it() {
    let lapse = Lapse::new();
    let bin = lapse_tests::lapse::binary();
    let bin = bin.display();
    let output = with_a_disk(
        &lapse,
        &format!(
            "mkdir disk d; mount -t tmpfs tmpfs disk; mkdir disk/card; echo one > disk/card/1.txt; mount --bind disk/card d
             lapse watch add d --existing; {bin} watch run 2>/dev/null & run=$!
             see '\"shared\":1'
             umount d
             mount -t tmpfs tmpfs d; echo secret > d/2.txt
             sleep 7; see 'Another folder or disk'
             umount d; rmdir d; see \"isn't there\"
             mkdir d; mount --bind disk/card d; echo three > disk/card/3.txt
             see '\"shared\":2'
             kill $run; wait $run
             lapse list --json | grep -o '\"name\":\"[^\"]*' | sort; lapse store stop"
        ),
    );
    assert_eq!(output.stdout, "\"name\":\"1.txt\n\"name\":\"3.txt\n", "{output:#?}");
}

#[test]
fn on_a_disk_of_another_computer_changes_are_found_and_a_name_in_other_letters_is_the_same() {
    let lapse = Lapse::new();
    let bin = lapse_tests::lapse::binary();
    let bin = bin.display();
    let (python, disk) = disk();
    let output = with_a_disk(
        &lapse,
        &format!(
            "mkdir there d; echo one > there/Photo.PNG
             put_in() {{ {} {} there d & disk=$!; until mountpoint -q d; do sleep 0.1; done; }}
             put_in; lapse watch add d --recursive --existing; {bin} watch run 2>/dev/null & run=$!
             see '\"shared\":1'; see 'network disk'
             # What the other computer does isn't told.
             mkdir there/new; echo two > there/new/two.txt; printf three > there/$(printf 'u\\314\\210.txt')
             see '\"shared\":3'
             mv there/Photo.PNG there/photo.png; mv there/$(printf 'u\\314\\210.txt') there/$(printf '\\303\\274.txt')
             mv there/new there/NEW
             sleep 14
             kill -9 $disk; see \"isn't there\"; umount -l d; put_in
             echo four > there/four.txt; see '\"shared\":4'
             kill $run; wait $run
             lapse list --json | grep -o '\"name\":\"[^\"]*' | sort; lapse store stop",
            python.display(),
            disk.display()
        ),
    );
    let names =
        "\"name\":\"Photo.PNG\n\"name\":\"four.txt\n\"name\":\"two.txt\n\"name\":\"u\u{308}.txt\n";
    assert_eq!(output.stdout, names, "{output:#?}");
}

#[test]
fn after_the_computer_slept_all_is_looked_through() {
    let lapse = Lapse::new();
    let bin = lapse_tests::lapse::binary();
    let bin = bin.display();
    // Of a computer that slept the clock went on, and the time that a process counts didn't.
    let clock = lapse.file("clock", "+0");
    let environment: Vec<_> = lapse_tests::clocks::off_as_told_by(&clock)
        .map(|(name, value)| format!("{name}='{value}'"))
        .collect();
    let environment = environment.join(" ");
    let output = with_a_disk(
        &lapse,
        &format!(
            "mkdir -p d/card
             lapse watch add d --recursive; env {environment} {bin} watch run 2>/dev/null & run=$!
             echo one > d/1.txt; see '\"shared\":1'
             # Nothing tells that a disk is put in below the folder.
             mount -t tmpfs tmpfs d/card; echo two > d/card/2.txt
             sleep 12; see '\"shared\":1'
             echo +2h > clock; see '\"shared\":2'
             kill $run; wait $run; lapse store stop"
        ),
    );
    assert_eq!(output.code, Some(0), "{output:#?}");
}

#[test]
fn a_disk_that_does_not_answer_holds_no_other_folder_up() {
    let lapse = Lapse::new();
    let bin = lapse_tests::lapse::binary();
    let bin = bin.display();
    let (python, disk) = disk();
    let output = with_a_disk(
        &lapse,
        &format!(
            "mkdir there d here
             {} {} there d & disk=$!; until mountpoint -q d; do sleep 0.1; done
             lapse watch add d; lapse watch add here; {bin} watch run 2>/dev/null & run=$!
             echo one > there/1.txt; see '\"shared\":1'
             echo 'upload_limit = 100000' > config; cat \"$LAPSE_HOME/config.toml\" >> config; cp config \"$LAPSE_HOME/config.toml\"
             head -c 6000000 /dev/urandom > there/large.bin; see '\"waiting\":1'; until lapse uploads | grep -q large; do sleep 0.1; done
             kill -STOP $disk; see \"doesn't answer\"
             for i in 2 3 4; do echo $i > here/$i.txt; done
             see '\"shared\":3'
             kill -CONT $disk; echo five > there/5.txt; see '\"shared\":2'
             kill -STOP $disk; kill $run; wait $run; echo ended
             lapse watch list --json | grep -c not_running; lapse store stop",
            python.display(),
            disk.display()
        ),
    );
    assert_eq!(output.stdout, "ended\n2\n", "{output:#?}");
}
