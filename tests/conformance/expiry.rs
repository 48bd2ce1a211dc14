//! A link opens until its time, and not after.

use std::time::Duration;

use lapse_tests::{Lapse, Server, bytes};

on_every_server! {
    fn a_link_gives_the_file_under_its_name(server: Server) {
        let lapse = Lapse::on(server);
        let content = bytes(300_000);
        let share = lapse.share(&lapse.file("Ünder the 月.bin", &content), &[]);
        share.link.get().assert_gives(&content, "Ünder the 月.bin");
        // … and a part of it, as a download that goes on asks.
        let part = share.link.curl(&["--range", "1000-1999"]);
        assert_eq!((part.status, part.body.as_slice()), (206, &content[1000..2000]));
    }

    fn an_empty_file_is_shared(server: Server) {
        let lapse = Lapse::on(server);
        lapse.share(&lapse.file("empty", ""), &[]).link.get().assert_gives(b"", "empty");
    }

    fn a_fifteen_minute_link_ends_in_fifteen_minutes(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "15m"]);
        assert_eq!(share.link.parameter("X-Amz-Expires").as_deref(), Some("900"));
        assert_eq!(share.expires_at(), share.link.ends_at());
        let age = share.link.signed_at().duration_until(jiff::Timestamp::now());
        assert!(age.abs() < jiff::SignedDuration::from_secs(10), "signed {age:#} ago");
        assert!(share.json["limited_by"].is_null(), "{}", share.json);
        assert_eq!(share.json["state"], "active");
    }

    fn an_expired_link_is_refused(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share_alive(&lapse.file("note.txt", "hello"), "2s");
        share.link.wait_for_end();
        share.link.get().assert_refused();
        assert_eq!(lapse.state(&share.id), "expired");
        assert_eq!(lapse.checked_state(&share.id), "expired");
    }

    fn a_download_under_way_at_the_end_finishes_and_no_other_begins(server: Server) {
        let lapse = Lapse::on(server);
        // More than the sockets between server and curl can hold, so the server still sends when the link ends.
        let content = bytes(32 << 20);
        let share = lapse.share_alive(&lapse.file("film.bin", &content), "6s");
        let link = share.link.clone();
        let slow = std::thread::spawn(move || link.curl(&["--limit-rate", "3M"]));
        share.link.wait_for_end();
        assert!(!slow.is_finished(), "the download was over before the link ended");
        share.link.get().assert_refused();
        share.link.curl(&["--range", "20000000-"]).assert_refused();
        slow.join().unwrap().assert_gives(&content, "film.bin");
    }

    fn extending_gives_a_new_link_and_the_old_keeps_its_end(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share_alive(&lapse.file("note.txt", "hello"), "4s");
        let extended = lapse.run(["extend", &share.id, "--expires", "1h", "--json"]).success().json();
        assert_eq!(extended["id"], share.id.as_str());
        let extended = lapse_tests::Share::of(extended);
        assert_ne!(extended.link, share.link);
        assert_eq!(extended.link.parameter("X-Amz-Expires").as_deref(), Some("3600"));
        share.link.wait_for_end();
        share.link.get().assert_refused();
        extended.link.get().assert_gives(b"hello", "note.txt");
        assert_eq!(lapse.checked_state(&share.id), "active");
    }

    fn the_link_of_a_share_can_be_had_again(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
        let again = lapse.run(["link", &share.id]).success();
        assert_eq!(again.stdout, format!("{}\n", share.link.0));
    }
}

/// The words of the README: refused three seconds after `--expires 2s`.
#[test]
fn a_two_second_link_is_dead_after_three() {
    let lapse = Lapse::new();
    let share = lapse.share_alive(&lapse.file("note.txt", "hello"), "2s");
    std::thread::sleep(Duration::from_secs(3));
    share.link.get().assert_refused();
}
