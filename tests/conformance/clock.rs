//! The server's clock counts, and no other.

use std::process::Command;

use lapse_tests::{Lapse, Output, Server, Share, clocks};

on_every_server! {
    fn a_lapse_whose_clock_is_an_hour_behind_makes_true_links(server: Server) {
        shares_with_a_wrong_clock(server, "-1h");
    }

    fn a_lapse_whose_clock_is_an_hour_ahead_makes_true_links(server: Server) {
        shares_with_a_wrong_clock(server, "+1h");
    }

    fn a_recipient_with_a_wrong_clock_gains_nothing(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share_alive(&lapse.file("note.txt", "hello"), "2s").link;
        link.wait_for_end();
        let mut late = Command::new("curl");
        late.envs(clocks::off_by("-1h"));
        link.curl_by(&mut late, &[]).assert_refused();
    }
}

fn shares_with_a_wrong_clock(server: Server, off: &str) {
    let lapse = Lapse::on(server);
    let file = lapse.file("note.txt", "hello");
    // A store that Lapse starts itself would have the wrong clock, too.
    lapse.share(&file, &[]);

    let wrong =
        |words: &[&str]| Output::of(lapse.command(words).envs(clocks::off_by(off))).success();
    let share =
        |expires| Share::of(wrong(&["share", "--json", "note.txt", "--expires", expires]).json());
    let long = share("15m");
    long.link.get().assert_gives(b"hello", "note.txt");
    let age = long.link.signed_at().duration_until(jiff::Timestamp::now());
    assert!(age.abs() < jiff::SignedDuration::from_secs(10), "signed {age:#} ago");
    assert_eq!(long.expires_at(), long.link.ends_at());

    let short = share("3s");
    short.link.wait_for_end();
    short.link.get().assert_refused();
    // The state is told by the server's clock as well.
    let check = wrong(&["check", &long.id, &short.id, "--json"]).lines();
    let states: Vec<_> = check.iter().map(|share| share["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "expired"]);
}
