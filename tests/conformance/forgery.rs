//! A link gives what it was made for, and nothing else.

use lapse_tests::{Lapse, Link, Server};
use serde_json::json;

on_every_server! {
    fn a_changed_signature_is_refused(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &[]).link;
        link.with_forged_signature().get().assert_refused();
        link.with_parameter("X-Amz-Signature", "").get().assert_refused_somehow();
        Link(link.0.split('?').next().unwrap().to_owned()).get().assert_refused();
    }

    fn a_link_cannot_be_extended(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "15m"]).link;
        link.with_parameter("X-Amz-Expires", "901").get().assert_refused();
        link.with_parameter("X-Amz-Expires", "604800").get().assert_refused();
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
        link.with_parameter("X-Amz-Date", &later.strftime("%Y%m%dT%H%M%SZ").to_string()).get().assert_refused();
        link.get().assert_gives(b"hello", "note.txt");
    }

    fn an_ended_link_cannot_be_revived(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share_alive(&lapse.file("note.txt", "hello"), "2s").link;
        link.wait_for_end();
        link.with_parameter("X-Amz-Expires", "3600").get().assert_refused();
    }

    fn a_link_cannot_be_moved_to_another_object(server: Server) {
        let lapse = Lapse::on(server);
        let first = lapse.share(&lapse.file("first.txt", "first"), &[]).link;
        let second = lapse.share(&lapse.file("second.txt", "second"), &[]).link;
        first.with_path(second.path()).get().assert_refused();
        second.with_path(first.path()).get().assert_refused();
    }

    fn a_link_cannot_be_moved_to_another_bucket(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &[]).link;
        let (bucket, key) = link.object();
        let other = format!("{bucket}-other");
        if server != Server::LocalStore {
            lapse.place().s3("create_bucket", &json!({"Bucket": other})).unwrap();
            lapse.place().s3("put_object", &json!({"Bucket": other, "Key": key, "Body": "other"})).unwrap();
        }
        let moved = link.path().replacen(&bucket, &other, 1);
        link.with_path(&moved).get().assert_refused();
    }

    fn a_link_serves_no_other_method(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &[]).link;
        link.curl(&["--request", "PUT", "--data-binary", "changed"]).assert_refused();
        link.curl(&["--request", "DELETE"]).assert_refused();
        link.curl(&["--request", "POST", "--data-binary", "changed"]).assert_refused_somehow();
        link.curl(&["--head"]).assert_refused_somehow();
        link.get().assert_gives(b"hello", "note.txt");
    }

    fn the_download_name_cannot_be_changed(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &[]).link;
        link.with_parameter("response-content-disposition", "inline").get().assert_refused();
        link.with_parameter("response-content-type", "text%2Fhtml").get().assert_refused();
    }

    fn the_object_is_private(server: Server) {
        let lapse = Lapse::on(server);
        let link = lapse.share(&lapse.file("note.txt", "hello"), &[]).link;
        let (bucket, _) = link.object();
        let origin = &link.0[..link.0.find(link.path()).unwrap()];
        Link(format!("{origin}/{bucket}?list-type=2")).get().assert_refused();
        Link(format!("{origin}/{bucket}")).get().assert_refused();
    }
}
