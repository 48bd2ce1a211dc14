//! Making, switching and deleting keys: in process, and by the keys' API.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{
    Credentials, Error, Key, KeyInfo, Options, Running, credentials, secret_of, start,
};
use rusqlite::Connection;

use crate::form::FormDraft;
use crate::signer::Draft;
use crate::support::{Answer, Host};

const PATH: &str = "/lapse/k";

async fn host_with_object() -> Host {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"kept").await.status, 200);
    host
}

fn link_by(host: &Host, key: &Credentials) -> String {
    Draft::new("GET", &host.endpoint(), PATH, key.clone()).link()
}

/// What following the link gives: the object, or the code of an error.
async fn follow(host: &Host, link: &str) -> String {
    let answer = host.follow("GET", link, "").await;
    if answer.status == 200 {
        String::from_utf8(answer.body).unwrap()
    } else {
        format!("{} {}", answer.status, answer.code())
    }
}

fn info(running: &Running, id: &str) -> KeyInfo {
    running.keys().into_iter().find(|key| key.access_key == id).unwrap()
}

/// A request to the keys' API, by the root key.
fn draft(host: &Host) -> Draft {
    let mut draft = Draft::new("POST", &host.endpoint(), "/", host.key(Key::Root));
    draft.service = "iam".into();
    draft.header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
}

fn body(action: &str, parameters: &[(&str, &str)]) -> String {
    let parameters = parameters.iter().map(|(name, value)| format!("&{name}={value}"));
    format!("Action={action}&Version=2010-05-08{}", parameters.collect::<String>())
}

async fn ask(host: &Host, action: &str, parameters: &[(&str, &str)]) -> Answer {
    host.send(draft(host), body(action, parameters).as_bytes()).await
}

/// The texts of the elements of that name.
fn texts(answer: &Answer, name: &str) -> Vec<String> {
    let xml = String::from_utf8(answer.body.clone()).unwrap();
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1);
    parts.map(|part| part.split(&close).next().unwrap().to_owned()).collect()
}

fn text(answer: &Answer, name: &str) -> String {
    let texts = texts(answer, name);
    assert_eq!(texts.len(), 1, "{name} in {}", String::from_utf8_lossy(&answer.body));
    texts[0].clone()
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert_eq!(texts(answer, "RequestId").len(), 1);
}

#[tokio::test]
async fn key_that_is_switched_off_is_refused_until_it_is_on_again() {
    let host = host_with_object().await;
    let old = host.key(Key::Profile);
    let old_link = link_by(&host, &old);
    let form = FormDraft::new(&host, "form");
    let new = host.running.create_key(Key::Profile).await.unwrap();
    assert_eq!(host.key(Key::Profile), new);
    let new_link = link_by(&host, &new);
    assert_eq!(follow(&host, &new_link).await, "kept");
    assert_eq!(follow(&host, &old_link).await, "kept");
    host.running.set_key_active(&old.access_key, false).await.unwrap();
    assert_eq!(follow(&host, &old_link).await, "403 InvalidAccessKeyId");
    assert_eq!(form.send(&host, b"x").await.code(), "InvalidAccessKeyId");
    assert_eq!(follow(&host, &new_link).await, "kept");
    assert_eq!(secret_of(&host.store(), &old.access_key).unwrap().as_ref(), Some(&old));
    assert!(!info(&host.running, &old.access_key).active);
    host.running.set_key_active(&old.access_key, true).await.unwrap();
    assert_eq!(follow(&host, &old_link).await, "kept");
    assert_eq!(form.send(&host, b"x").await.status, 204);
    host.running.delete_key(&old.access_key).await.unwrap();
    assert_eq!(follow(&host, &old_link).await, "403 InvalidAccessKeyId");
    assert_eq!(secret_of(&host.store(), &old.access_key).unwrap(), None);
    assert_eq!(follow(&host, &new_link).await, "kept");
    assert!(host.running.keys().iter().all(|key| key.access_key != old.access_key));
}

#[tokio::test]
async fn role_has_two_keys_at_most_and_each_keeps_to_its_bucket() {
    let host = Host::start().await;
    for role in [Key::Root, Key::Profile, Key::Env] {
        let before = Timestamp::now() - SignedDuration::from_secs(1);
        let made = host.running.create_key(role).await.unwrap();
        let third = host.running.create_key(role).await;
        assert!(matches!(third, Err(Error::TooManyKeys)), "{third:?}");
        host.running.set_key_active(&made.access_key, false).await.unwrap();
        let third = host.running.create_key(role).await;
        assert!(matches!(third, Err(Error::TooManyKeys)), "a key that is off counts");
        host.running.set_key_active(&made.access_key, true).await.unwrap();
        let info = info(&host.running, &made.access_key);
        assert_eq!((info.role, info.last_used), (Some(role), None));
        assert!(info.created_at > before);
        let mut draft = Draft::new("PUT", &host.endpoint(), "/another", made);
        draft.path = format!("/another-{}", role as u8);
        let status = host.send(draft, b"").await.status;
        assert_eq!(status, if role == Key::Root { 200 } else { 403 });
    }
    assert_eq!(host.running.keys().len(), 6);
    for id in ["LAPSAAAAAAAAAAAAAAAA", "", "' OR 1=1 --"] {
        let switched = host.running.set_key_active(id, false).await;
        assert!(matches!(switched, Err(Error::NoSuchKey)), "{switched:?}");
        assert!(matches!(host.running.delete_key(id).await, Err(Error::NoSuchKey)));
    }
}

#[tokio::test]
async fn last_use_is_known_at_once_and_after_a_restart() {
    let host = host_with_object().await;
    let (profile, env) = (host.key(Key::Profile), host.key(Key::Env));
    let used = info(&host.running, &profile.access_key).last_used.unwrap();
    assert!(Timestamp::now().duration_since(used) < SignedDuration::from_mins(1));
    assert_eq!(info(&host.running, &env.access_key).last_used, None);
    // A link that isn't signed by the key is no use of it.
    let forged = link_by(&host, &Credentials { secret_key: "x".into(), ..env.clone() });
    assert_eq!(follow(&host, &forged).await, "403 SignatureDoesNotMatch");
    assert_eq!(info(&host.running, &env.access_key).last_used, None);
    assert_eq!(ask(&host, "GetUser", &[]).await.status, 200);
    let before = host.running.keys();
    let store = host.store();
    host.running.stop().await;
    let running = start(&store, Options::default()).await.unwrap();
    assert_eq!(running.keys(), before);
    let host = Host { dir: host.dir, running };
    let id = [("AccessKeyId", profile.access_key.as_str())];
    let of_profile = ask(&host, "GetAccessKeyLastUsed", &id);
    assert_eq!(text(&of_profile.await, "ServiceName"), "s3");
    host.running.stop().await;
}

#[tokio::test]
async fn keys_of_an_older_store_stay() {
    let host = host_with_object().await;
    let keys = [Key::Root, Key::Profile, Key::Env].map(|key| host.key(key));
    let link = link_by(&host, &keys[1]);
    let store = host.store();
    host.running.stop().await;
    let index = Connection::open(store.join("index.db")).unwrap();
    index
        .execute_batch(
            "ALTER TABLE access_key DROP COLUMN last_used_at;
             ALTER TABLE access_key DROP COLUMN last_used_for;
             DROP TABLE lifecycle;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(index);
    assert_eq!(credentials(&store, Key::Profile).unwrap(), keys[1]);
    let running = start(&store, Options::default()).await.unwrap();
    let host = Host { dir: host.dir, running };
    assert_eq!([Key::Root, Key::Profile, Key::Env].map(|key| host.key(key)), keys);
    assert!(host.running.keys().iter().all(|key| key.last_used.is_none()));
    assert_eq!(follow(&host, &link).await, "kept");
    host.running.stop().await;
}

#[tokio::test]
async fn api_rotates_a_key() {
    let host = host_with_object().await;
    let old = host.key(Key::Profile);
    let old_link = link_by(&host, &old);
    let user = ("UserName", "profile");
    let made = ask(&host, "CreateAccessKey", &[user]).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.header("content-type"), Some("text/xml"));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let namespace = r#"<CreateAccessKeyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateAccessKeyResult><AccessKey>"#;
    assert!(String::from_utf8_lossy(&made.body).starts_with(namespace));
    assert_eq!(text(&made, "UserName"), "profile");
    assert_eq!(text(&made, "Status"), "Active");
    let new = Credentials {
        access_key: text(&made, "AccessKeyId"),
        secret_key: text(&made, "SecretAccessKey"),
    };
    assert_eq!(host.key(Key::Profile), new);
    assert_eq!(Some(text(&made, "RequestId").as_str()), made.header("x-amz-request-id"));
    assert_eq!(follow(&host, &link_by(&host, &new)).await, "kept");
    assert_eq!(follow(&host, &old_link).await, "kept");

    let off = [user, ("AccessKeyId", &old.access_key), ("Status", "Inactive")];
    assert_eq!(ask(&host, "UpdateAccessKey", &off).await.status, 200);
    assert_eq!(follow(&host, &old_link).await, "403 InvalidAccessKeyId");
    let list = ask(&host, "ListAccessKeys", &[user]).await;
    let ids = vec![old.access_key.clone(), new.access_key.clone()];
    assert_eq!(texts(&list, "AccessKeyId"), ids);
    assert_eq!(texts(&list, "Status"), ["Inactive", "Active"]);
    assert_eq!(text(&list, "IsTruncated"), "false");
    assert!(!String::from_utf8_lossy(&list.body).contains(&new.secret_key));
    let on = [user, ("AccessKeyId", &old.access_key), ("Status", "Active")];
    assert_eq!(ask(&host, "UpdateAccessKey", &on).await.status, 200);
    assert_eq!(follow(&host, &old_link).await, "kept");

    let delete = [user, ("AccessKeyId", old.access_key.as_str())];
    assert_eq!(ask(&host, "DeleteAccessKey", &delete).await.status, 200);
    assert_eq!(follow(&host, &old_link).await, "403 InvalidAccessKeyId");
    assert_eq!(follow(&host, &link_by(&host, &new)).await, "kept");
    assert_refused(&ask(&host, "DeleteAccessKey", &delete).await, 404, "NoSuchEntity");
}

#[tokio::test]
async fn api_says_who_there_is_and_when_a_key_was_used() {
    let host = host_with_object().await;
    for (parameters, name) in [(&[][..], "root"), (&[("UserName", "env")], "env")] {
        let user = ask(&host, "GetUser", parameters).await;
        assert_eq!(text(&user, "UserName"), name);
        assert_eq!(text(&user, "Arn"), format!("arn:aws:iam::000000000000:user/{name}"));
        assert!(text(&user, "UserId").len() >= 16);
        text(&user, "CreateDate").parse::<Timestamp>().unwrap();
    }
    let used = async |key| {
        let id = host.key(key).access_key;
        ask(&host, "GetAccessKeyLastUsed", &[("AccessKeyId", &id)]).await
    };
    let profile = used(Key::Profile).await;
    assert_eq!(text(&profile, "UserName"), "profile");
    assert_eq!(
        (text(&profile, "ServiceName"), text(&profile, "Region")),
        ("s3".into(), "us-east-1".into())
    );
    text(&profile, "LastUsedDate").parse::<Timestamp>().unwrap();
    assert_eq!(text(&used(Key::Root).await, "ServiceName"), "iam");
    let env = used(Key::Env).await;
    assert_eq!((text(&env, "ServiceName"), texts(&env, "LastUsedDate")), ("N/A".into(), vec![]));
}

#[tokio::test]
async fn last_active_root_key_stays() {
    let host = Host::start().await;
    let first = host.key(Key::Root);
    let id = ("AccessKeyId", first.access_key.as_str());
    let off = [id, ("Status", "Inactive")];
    assert_refused(&ask(&host, "UpdateAccessKey", &off).await, 409, "DeleteConflict");
    assert_refused(&ask(&host, "DeleteAccessKey", &[id]).await, 409, "DeleteConflict");
    let second = host.running.create_key(Key::Root).await.unwrap();
    host.running.set_key_active(&second.access_key, false).await.unwrap();
    assert_refused(&ask(&host, "UpdateAccessKey", &off).await, 409, "DeleteConflict");
    host.running.set_key_active(&second.access_key, true).await.unwrap();
    // Signed by the second one, which is the newest.
    assert_eq!(ask(&host, "UpdateAccessKey", &off).await.status, 200);
    let second_id = ("AccessKeyId", second.access_key.as_str());
    assert_refused(&ask(&host, "DeleteAccessKey", &[second_id]).await, 409, "DeleteConflict");
    assert_eq!(ask(&host, "DeleteAccessKey", &[id]).await.status, 200);
    assert_eq!(host.key(Key::Root), second);
}

#[tokio::test]
async fn api_refuses_what_it_does_not_know() {
    let host = Host::start().await;
    let profile = host.key(Key::Profile).access_key;
    let id = ("AccessKeyId", profile.as_str());
    let user = ("UserName", "profile");
    for (action, parameters, status, code) in [
        ("CreateUser", vec![], 400, "InvalidAction"),
        ("", vec![], 400, "InvalidAction"),
        ("createaccesskey", vec![], 400, "InvalidAction"),
        ("CreateAccessKey", vec![("UserName", "alice")], 404, "NoSuchEntity"),
        ("CreateAccessKey", vec![("UserName", "")], 404, "NoSuchEntity"),
        ("CreateAccessKey", vec![user, user], 400, "ValidationError"),
        ("GetUser", vec![("UserName", "alice")], 404, "NoSuchEntity"),
        ("DeleteAccessKey", vec![user], 400, "ValidationError"),
        // Another user's: without a name it is root that is meant.
        ("DeleteAccessKey", vec![id], 404, "NoSuchEntity"),
        ("DeleteAccessKey", vec![id, ("UserName", "env")], 404, "NoSuchEntity"),
        ("UpdateAccessKey", vec![id, user], 400, "ValidationError"),
        ("UpdateAccessKey", vec![id, user, ("Status", "Off")], 400, "ValidationError"),
        ("UpdateAccessKey", vec![id, ("Status", "Inactive")], 404, "NoSuchEntity"),
        ("GetAccessKeyLastUsed", vec![("AccessKeyId", "LAPSX")], 404, "NoSuchEntity"),
        ("GetAccessKeyLastUsed", vec![user], 400, "ValidationError"),
    ] {
        assert_refused(&ask(&host, action, &parameters).await, status, code);
    }
    let other_version = host.send(draft(&host), b"Action=GetUser&Version=2011-06-15").await;
    assert_refused(&other_version, 400, "InvalidAction");
    let no_version = host.send(draft(&host), b"Action=GetUser").await;
    assert_refused(&no_version, 400, "InvalidAction");
    let large = format!("Action=GetUser&Version=2010-05-08&x={}", "x".repeat(64 * 1024));
    assert_refused(&host.send(draft(&host), large.as_bytes()).await, 413, "RequestEntityTooLarge");
    let no_text = host.send(draft(&host), b"Action=%FF").await;
    assert_refused(&no_text, 400, "ValidationError");
    assert_eq!(ask(&host, "CreateAccessKey", &[]).await.status, 200);
    assert_refused(&ask(&host, "CreateAccessKey", &[]).await, 409, "LimitExceeded");
    assert_eq!(host.key(Key::Profile).access_key, profile);
}

#[tokio::test]
async fn api_is_for_whom_signed_by_the_root_key_now() {
    let host = Host::start().await;
    let body = body("CreateAccessKey", &[("UserName", "env")]);
    let body = body.as_bytes();
    let send = async |change: &dyn Fn(&mut Draft)| {
        let mut draft = draft(&host);
        change(&mut draft);
        host.send(draft, body).await
    };
    for role in [Key::Profile, Key::Env] {
        let answer = send(&|draft| draft.key = host.key(role)).await;
        assert_refused(&answer, 403, "AccessDenied");
    }
    let answer = send(&|draft| draft.key.secret_key = "wrong".into()).await;
    assert_refused(&answer, 403, "SignatureDoesNotMatch");
    let answer = send(&|draft| draft.key.access_key = "LAPSAAAAAAAAAAAAAAAA".into()).await;
    assert_refused(&answer, 403, "InvalidClientTokenId");
    for (service, region) in [("s3", "us-east-1"), ("sts", "us-east-1"), ("iam", "eu-west-1")] {
        let answer = send(&|draft| {
            draft.service = service.into();
            draft.region = region.into();
        })
        .await;
        assert_refused(&answer, 403, "SignatureDoesNotMatch");
    }
    for minutes in [-16, 16, -24 * 60] {
        let at = Timestamp::now() + SignedDuration::from_mins(minutes);
        assert_refused(&send(&|draft| draft.at = at).await, 403, "SignatureDoesNotMatch");
    }
    for hidden in ["host", "x-amz-date"] {
        // The signer adds the date last, so it is hidden from the list in the text.
        let request = String::from_utf8(draft(&host).request(body)).unwrap();
        let (start, end) = request.split_once("SignedHeaders=").unwrap();
        let (list, end) = end.split_once(',').unwrap();
        let list: Vec<_> = list.split(';').filter(|name| *name != hidden).collect();
        let request = format!("{start}SignedHeaders={},{end}", list.join(";"));
        assert_refused(&host.raw(request.as_bytes()).await, 400, "IncompleteSignature");
    }
    let request = String::from_utf8(draft(&host).request(body)).unwrap();
    for (from, to, status, code) in [
        ("UserName=env", "UserName=roo", 403, "SignatureDoesNotMatch"),
        ("charset=utf-8", "charset=utf-7", 403, "SignatureDoesNotMatch"),
        ("AWS4-HMAC-SHA256", "AWS", 400, "IncompleteSignature"),
        ("Signature=", "Signed=", 400, "IncompleteSignature"),
        ("Credential=", "Credential=x/", 400, "IncompleteSignature"),
        ("POST / ", "POST /?Action=GetUser ", 400, "IncompleteSignature"),
        ("authorization: ", "nothing: ", 403, "MissingAuthenticationToken"),
        ("connection: ", "x-amz-other: 1\r\nconnection: ", 400, "IncompleteSignature"),
        ("connection: ", "authorization: x\r\nconnection: ", 400, "IncompleteSignature"),
    ] {
        let changed = request.replacen(from, to, 1);
        assert_ne!(changed, request);
        assert_refused(&host.raw(changed.as_bytes()).await, status, code);
    }
    let token = host.send(draft(&host).header("x-amz-security-token", "t"), body).await;
    assert_refused(&token, 403, "InvalidClientTokenId");
    assert_eq!(host.running.keys().len(), 3);
    // Unchanged, and dated within 15 minutes.
    for minutes in [-14, 14] {
        let mut draft = draft(&host);
        draft.at = Timestamp::now() + SignedDuration::from_mins(minutes);
        let answer = host.send(draft, b"Action=GetUser&Version=2010-05-08").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(host.raw(request.as_bytes()).await.status, 200);
}

/// What a power cut at this instant would leave.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn change_that_was_answered_survives_a_crash() {
    let host = host_with_object().await;
    let (profile, env) = (host.key(Key::Profile), host.key(Key::Env));
    let links = [link_by(&host, &profile), link_by(&host, &env)];
    let off =
        [("UserName", "profile"), ("AccessKeyId", &profile.access_key), ("Status", "Inactive")];
    assert_eq!(ask(&host, "UpdateAccessKey", &off).await.status, 200);
    let made = ask(&host, "CreateAccessKey", &[("UserName", "profile")]).await;
    let made = Credentials {
        access_key: text(&made, "AccessKeyId"),
        secret_key: text(&made, "SecretAccessKey"),
    };
    let delete = [("UserName", "env"), ("AccessKeyId", env.access_key.as_str())];
    assert_eq!(ask(&host, "DeleteAccessKey", &delete).await.status, 200);
    let crashed = host.dir.path().join("crashed");
    copy(&host.store(), &crashed);
    host.running.stop().await;
    std::fs::remove_file(crashed.join("host.json")).unwrap();
    std::fs::remove_dir_all(host.dir.path().join("store")).unwrap();
    std::fs::rename(&crashed, host.dir.path().join("store")).unwrap();
    let running = start(&host.dir.path().join("store"), Options::default()).await.unwrap();
    let host = Host { dir: host.dir, running };
    for link in &links {
        assert_eq!(follow(&host, link).await, "403 InvalidAccessKeyId");
    }
    assert_eq!(host.key(Key::Profile), made);
    assert_eq!(follow(&host, &link_by(&host, &made)).await, "kept");
    host.running.set_key_active(&profile.access_key, true).await.unwrap();
    assert_eq!(follow(&host, &links[0]).await, "kept");
    host.running.stop().await;
}
