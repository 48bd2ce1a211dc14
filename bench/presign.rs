//! `presign COUNT`: makes that many links, each to another object, and prints how many a second.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on must stop, and prints"
)]

use std::time::Instant;

use jiff::Timestamp;
use lapse_core::keychain::Sensitive;
use lapse_core::profile::{Draft, SignIn};
use lapse_core::storage::{Keys, LinkFacts};

fn main() {
    let count: u32 =
        std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("presign COUNT");
    let access_key = "AKIAIOSFODNN7EXAMPLE";
    let profile = Draft {
        name: "bench".to_owned(),
        provider: "aws".to_owned(),
        region: Some("us-east-1".to_owned()),
        bucket: "bench-bucket".to_owned(),
        sign_in: Some(SignIn::AccessKey(access_key.to_owned())),
        ..Draft::default()
    };
    let profile = profile.build().expect("a good profile");
    let keys = Keys::lasting(
        access_key,
        Sensitive::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
    );

    let began = Instant::now();
    let mut length = 0;
    for number in 0..count {
        let key = format!("reports/{number:08}/report.pdf");
        let mut facts = LinkFacts::new(&profile, &key, access_key, Timestamp::now(), 900);
        facts.disposition = Some("attachment; filename=\"report.pdf\"".to_owned());
        length += facts.presign(&keys).expect("a link").expose().len();
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!(length > 0);
    println!("{:.0}", f64::from(count) / seconds);
}
