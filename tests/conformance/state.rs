//! A state that is shown is true.

use lapse_tests::{Lapse, Server};
use serde_json::json;

on_every_server! {
    fn a_revoked_link_is_refused_and_that_was_measured(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
        let second = lapse.run(["extend", &share.id, "--expires", "2d", "--json"]).success().json();
        let second = lapse_tests::Share::of(second).link;

        let revoked = lapse.run(["revoke", &share.id, "--json"]).success().json();
        assert_eq!(revoked, json!({"id": share.id, "state": "revoked", "checked": 2, "refused": 2}));
        share.link.get().assert_refused();
        second.get().assert_refused();
        assert_eq!(lapse.state(&share.id), "revoked");
        assert_eq!(lapse.checked_state(&share.id), "revoked");
        assert_eq!(lapse.keys(), Vec::<String>::new());

        let link = lapse.run(["link", &share.id, "--json"]);
        assert_eq!((link.code, link.error_code().as_str()), (Some(1), "not_active"));
        let extend = lapse.run(["extend", &share.id, "--expires", "1h", "--json"]);
        assert_eq!((extend.code, extend.error_code().as_str()), (Some(1), "not_active"));
    }

    fn revoking_one_share_leaves_the_others(server: Server) {
        let lapse = Lapse::on(server);
        let first = lapse.share(&lapse.file("first.txt", "first"), &[]);
        let second = lapse.share(&lapse.file("second.txt", "second"), &[]);
        lapse.run(["revoke", &first.id]).success();
        first.link.get().assert_refused();
        second.link.get().assert_gives(b"second", "second.txt");
        assert_eq!(lapse.checked_state(&second.id), "active");
    }

    fn a_share_whose_object_is_gone_is_unreachable(server: Server) {
        let lapse = Lapse::on(server);
        let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
        assert_eq!(lapse.checked_state(&share.id), "active");
        let (_, key) = share.link.object();
        lapse.s3("delete_object", json!({"Key": key})).unwrap();
        assert_eq!(lapse.checked_state(&share.id), "unreachable");
        assert_eq!(lapse.state(&share.id), "unreachable", "what was found is remembered");
    }

    fn a_file_that_was_shared_twice_has_two_objects(server: Server) {
        let lapse = Lapse::on(server);
        let file = lapse.file("note.txt", "hello");
        let (first, second) = (lapse.share(&file, &[]), lapse.share(&file, &[]));
        assert_ne!(first.link.object(), second.link.object());
        lapse.run(["revoke", &first.id]).success();
        second.link.get().assert_gives(b"hello", "note.txt");
    }

    fn what_lies_in_the_bucket_already_is_signed_for_and_never_deleted(server: Server) {
        let lapse = Lapse::on(server);
        if server == Server::LocalStore {
            lapse.share(&lapse.file("first", "so that the store runs"), &[]);
        }
        let (_, bucket) = lapse.bucket();
        let key = "reports/Übersicht +1 #2.pdf";
        lapse.s3("put_object", json!({"Key": key, "Body": "of someone else"})).unwrap();
        let share = lapse.run(["share", &format!("s3://{bucket}/{key}"), "--json"]).success();
        let share = lapse_tests::Share::of(share.json());
        share.link.get().assert_gives(b"of someone else", "Übersicht +1 #2.pdf");

        let revoke = lapse.run(["revoke", &share.id, "--json"]);
        assert_eq!((revoke.code, revoke.error_code().as_str()), (Some(1), "not_ours"));
        assert!(lapse.keys().contains(&key.to_owned()));
        assert_eq!(lapse.checked_state(&share.id), "active");
    }

    fn an_object_that_is_not_there_cannot_be_shared(server: Server) {
        let lapse = Lapse::on(server);
        lapse.share(&lapse.file("first", "so that a store runs"), &[]);
        let (_, bucket) = lapse.bucket();
        let share = lapse.run(["share", &format!("s3://{bucket}/nothing/here"), "--json"]);
        assert_eq!((share.code, share.error_code().as_str()), (Some(1), "no_such_object"));
    }
}
