//! The local store in a local network: a network namespace each for this computer and for another one, and a cable
//! between them.

use lapse_tests::rig::{python, servers};
use lapse_tests::{Lapse, Output, bytes};

/// Runs a shell script on a computer whose interface `cable0` is 10.99.0.1/24; `there COMMAND` runs on another one that
/// is 10.99.0.2.
fn in_a_network(lapse: &Lapse, script: &str) -> Output {
    let bin = lapse_tests::lapse::binary();
    let script = format!(
        "set -eu
         ip link set lo up
         unshare --net sleep 300 & other=$!
         trap 'lapse store stop 2>/dev/null; kill $other' EXIT
         lapse() {{ {} \"$@\"; }}
         there() {{ nsenter --net=/proc/$other/ns/net -- \"$@\"; }}
         status() {{ lapse store status --json; }}
         until [ \"$(readlink /proc/$other/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.05; done
         ip link add cable0 type veth peer name cable1
         ip link set cable1 netns $other
         ip addr add 10.99.0.1/24 dev cable0
         ip link set cable0 up
         there ip link set lo up
         there ip addr add 10.99.0.2/24 dev cable1
         there ip link set cable1 up
         until there ip -br link show cable1 | grep -q LOWER_UP; do sleep 0.05; done
         {script}",
        bin.display()
    );
    let root = rustix::process::geteuid().is_root();
    let namespace: &[&str] =
        if root { &["unshare", "--net"] } else { &["unshare", "--map-root-user", "--net"] };
    let output = Output::of(&mut lapse.any(&[namespace, &["sh", "-c", &script]].concat()));
    assert!(
        !output.stderr.contains("unshare:") && !output.stderr.contains("RTNETLINK"),
        "this machine makes no networks: {output:?}"
    );
    output
}

#[test]
fn the_store_is_reached_from_the_network_only_when_asked_to() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let script = "
        before=$(lapse share note.txt 2>/dev/null)
        port=$(echo \"$before\" | sed 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/')
        there curl --silent --max-time 5 http://10.99.0.1:$port/ && echo 'it listens unasked'
        lapse store listen
        lapse store listen lan
        lapse share note.txt
        link=$(lapse share note.txt 2>/dev/null)
        echo \"url = $link\" | there curl --silent --fail --config - && echo
        echo \"url = ${link%?}\" | there curl --silent --config - | grep -o SignatureDoesNotMatch
        echo \"url = $before\" | curl --silent --fail --config - && echo ' as before'
        there curl --silent --data 'Action=ListAccessKeys&Version=2010-05-08' http://10.99.0.1:$port/ | grep -o '<Code>.*</Code>'
        there curl --silent http://10.99.0.1:$port/lapse | grep -o '<Code>.*</Code>'
        status | grep -o '\"lan\":\"[^\"]*\"' | sed 's/[0-9]*\"$//'
        config=$(cat \"$LAPSE_HOME/config.toml\")
        echo 'listen = 5' >> \"$LAPSE_HOME/config.toml\"
        while echo \"url = $link\" | there curl --silent --fail --max-time 5 --output /dev/null --config -; do sleep 0.2; done
        echo \"$config\" > \"$LAPSE_HOME/config.toml\"
        until status | grep -q '\"lan\":\"'; do sleep 0.1; done
        lapse store stop
        lapse store status | grep -o 'that of cable0, unencrypted'
        lapse share note.txt 2>/dev/null | grep -o 'http://10.99.0.1:'
        lapse store listen loopback
        echo \"url = $link\" | there curl --silent --max-time 5 --config - || echo 'off again'
        lapse share note.txt 2>/dev/null | grep -o 127.0.0.1";
    let output = in_a_network(&lapse, script);
    let lines: Vec<_> = output.stdout.lines().collect();
    let (listing, rest) = lines.split_at(2.min(lines.len()));
    assert_eq!(listing, ["network: this computer only", "interface: cable0 (10.99.0.1)"]);
    assert!(rest[0].starts_with("http://10.99.0.1:"), "{output:#?}");
    assert_eq!(
        rest[1..],
        [
            "hello",
            "SignatureDoesNotMatch",
            "hello as before",
            "<Code>AccessDenied</Code>",
            "<Code>AccessDenied</Code>",
            "\"lan\":\"http://10.99.0.1:",
            "that of cable0, unencrypted",
            "http://10.99.0.1:",
            "off again",
            "127.0.0.1"
        ],
        "{output:#?}"
    );
    let said = |what: &str| output.stderr.matches(what).count();
    assert_eq!(said("isn't encrypted"), 2, "once when it begins, once with the link: {output:#?}");
}

#[test]
fn the_store_leaves_a_network_that_changes() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let script = "
        lapse store listen lan --interface cable0 2>/dev/null
        link=$(lapse share note.txt 2>/dev/null)
        echo \"url = $link\" | there curl --silent --fail --config - && echo
        id=$(lapse list --json | sed 's/.*\"id\":\"\\([a-z0-9]*\\)\".*/\\1/')
        # Another network that gives the same computer another address, where a stranger has the one of before.
        ip addr del 10.99.0.1/24 dev cable0
        ip addr add 10.99.0.7/24 dev cable0
        there ip addr add 10.99.0.1/24 dev cable1
        until status | grep -q '\"lan\":null'; do sleep 0.1; done
        status | grep -o '\"lan_ended_at\":\"20'
        lapse store status | grep -o 'when it changed'
        there curl --silent --max-time 5 http://10.99.0.7:$(echo \"$link\" | cut -d: -f3 | cut -d/ -f1)/ || echo 'not there'
        lapse check $id --json | grep -o unreachable
        lapse check $id | grep -o 'listen at its address'
        lapse link $id
        lapse revoke $id --json
        lapse store listen lan 2>/dev/null
        lapse share note.txt 2>/dev/null | grep -o 'http://10.99.0.7:'
        cat \"$LAPSE_HOME/config.toml\" | grep -c lan_ended_at || true";
    let output = in_a_network(&lapse, script);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "hello",
            "\"lan_ended_at\":\"20",
            "when it changed",
            "not there",
            "unreachable",
            "listen at its address"
        ],
        "{output:#?}"
    );
    assert!(lines[6].starts_with("http://10.99.0.1:"), "{output:#?}");
    assert!(output.stderr.contains("opens nowhere now"), "{output:#?}");
    assert!(lines[7].contains("\"checked\":1,\"refused\":1"), "asked here, not there: {output:#?}");
    assert_eq!(lines[8..], ["http://10.99.0.7:", "0"], "{output:#?}");
}

#[test]
fn an_interface_that_cannot_be_listened_on_is_told() {
    let lapse = Lapse::new();
    let script = "
        ip link add spare0 type dummy 2>/dev/null || ip link add spare0 type veth peer name spare1
        ip addr add 10.98.0.1/24 dev spare0
        ip link set spare0 up
        for words in 'lan' 'lan --interface nope' 'lan --interface lo' 'loopback --interface cable0'; do
          lapse store listen $words --json || echo $?
        done
        ip addr add 203.0.113.5/24 dev lo
        ip link set cable0 down; ip link set spare0 down
        lapse store listen lan --json || echo $?";
    let output = in_a_network(&lapse, script);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), ["2", "1", "1", "2", "1"], "{output:#?}");
    let codes: Vec<_> = output
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["error"]["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["usage", "network", "network", "usage", "network"], "{output:#?}");
}

#[test]
fn an_upload_survives_an_address_that_is_taken_away_for_a_while() {
    survives_until(1);
}

#[test]
fn an_upload_goes_on_in_a_network_that_gives_another_address() {
    survives_until(7);
}

/// An upload during which the computer has no address, and then `10.99.0.{again}`.
fn survives_until(again: u8) {
    let mut lapse = Lapse::new();
    let content = bytes(48 << 20);
    lapse.file("big.bin", &content);
    lapse.set("LAPSE_SECRET_ACCESS_KEY", "test");
    // The server listens on that computer's loopback; this lets it be reached at its address.
    lapse.file(
        "relay.py",
        "import asyncio, sys
async def copy(a, b):
    while data := await a.read(65536):
        b.write(data); await b.drain()
    b.close()
async def one(r, w):
    sr, sw = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]))
    await asyncio.gather(copy(r, sw), copy(sr, w), return_exceptions=True)
async def main():
    async with await asyncio.start_server(one, '10.99.0.2', 9000) as s: await s.serve_forever()
asyncio.run(main())
",
    );
    let server = servers().join("server.py").display().to_string();
    let script = format!(
        "mkdir server; mkfifo hold; exec 9<>hold
         nsenter --net=/proc/$other/ns/net -- {python} {server} ministack \"$PWD/server\" <hold >ready 9<&- & stand=$!
         until [ -s ready ]; do sleep 0.1; done
         port=$(sed 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/' ready)
         nsenter --net=/proc/$other/ns/net -- {python} relay.py \"$port\" 9<&- & relay=$!
         trap 'exec 9>&-; kill $relay; wait $stand; kill $other' EXIT
         until there {python} -c 'import socket; socket.create_connection((\"10.99.0.2\", 9000))' 2>/dev/null; do sleep 0.1; done
         there env AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test {python} -c '
import boto3
boto3.client(\"s3\", endpoint_url=\"http://10.99.0.2:9000\", region_name=\"us-east-1\").create_bucket(Bucket=\"files\")'
         mkdir -p \"$LAPSE_HOME\"
         printf 'upload_limit = 8388608\\nuse = \"work\"\\n[profile.work]\\nendpoint = \"http://10.99.0.2:9000\"\\nprovider = \"other\"\\nregion = \"us-east-1\"\\nbucket = \"files\"\\naccess_key = \"test\"\\npath_style = true\\n' >\"$LAPSE_HOME/config.toml\"
         lapse share big.bin --no-copy >link & sharing=$!
         until lapse uploads --json | grep -q '\"arrived\":[1-9]'; do sleep 0.1; done
         ip addr del 10.99.0.1/24 dev cable0
         sleep 3
         ip addr add 10.99.0.{again}/24 dev cable0
         wait $sharing
         echo \"url = $(cat link)\" | curl --silent --fail --config - | cmp - big.bin && echo whole",
        python = python().display(),
    );
    let output = in_a_network(&lapse, &script);
    assert_eq!(output.stdout, "whole\n", "{output:#?}");
}
