//! Uploads in parts.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use lapse_local_store::{BUCKET, Key};

use crate::support::{Host, bytes, code, names};

const MIB: usize = 1024 * 1024;

async fn begin(client: &Client, key: &str) -> String {
    let upload = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .content_type("video/mp4")
        .send()
        .await;
    upload.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, key: &str, upload: &str, number: i32, data: &[u8]) -> CompletedPart {
    let sent = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(upload)
        .part_number(number)
        .body(ByteStream::from(data.to_vec()))
        .send()
        .await
        .unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build()
}

fn list(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

#[tokio::test]
async fn parts_become_one_object() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let data = bytes(11 * MIB + 7, 3);
    let upload = begin(&client, "film").await;
    // In any order, and one of them twice.
    let third = part(&client, "film", &upload, 7, &data[10 * MIB..]).await;
    part(&client, "film", &upload, 2, b"an older try").await;
    let first = part(&client, "film", &upload, 1, &data[..5 * MIB]).await;
    let second = part(&client, "film", &upload, 2, &data[5 * MIB..10 * MIB]).await;
    let unused = part(&client, "film", &upload, 9, b"not named at the end").await;
    assert_eq!(unused.part_number(), Some(9));

    let listed = client
        .list_parts()
        .bucket(BUCKET)
        .key("film")
        .upload_id(&upload)
        .max_parts(2)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.is_truncated(), Some(true));
    assert_eq!(listed.next_part_number_marker(), Some("2"));
    assert_eq!(listed.parts()[1].e_tag(), second.e_tag());
    assert_eq!(listed.parts()[1].size(), Some(5 * 1024 * 1024));
    let rest = client
        .list_parts()
        .bucket(BUCKET)
        .key("film")
        .upload_id(&upload)
        .part_number_marker("2")
        .send();
    let numbers: Vec<_> = rest
        .await
        .unwrap()
        .parts()
        .iter()
        .filter_map(aws_sdk_s3::types::Part::part_number)
        .collect();
    assert_eq!(numbers, [7, 9]);
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload.as_str()));
    assert_eq!(host.running.activity().unfinished_uploads, 1);

    let complete = client.complete_multipart_upload().bucket(BUCKET).key("film").upload_id(&upload);
    let done = complete.multipart_upload(list(&[first, second, third])).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""));
    let got = client.get_object().bucket(BUCKET).key("film").send().await.unwrap();
    assert_eq!(got.content_type(), Some("video/mp4"));
    assert_eq!(got.e_tag(), done.e_tag());
    assert!(got.body.collect().await.unwrap().to_vec() == data);
    let range = format!("bytes={}-{}", 5 * MIB - 3, 10 * MIB + 2);
    let over_three =
        client.get_object().bucket(BUCKET).key("film").range(range).send().await.unwrap();
    assert!(over_three.body.collect().await.unwrap().to_vec() == data[5 * MIB - 3..10 * MIB + 3]);
    let second =
        client.get_object().bucket(BUCKET).key("film").part_number(2).send().await.unwrap();
    assert_eq!(second.parts_count(), Some(3));
    assert!(second.body.collect().await.unwrap().to_vec() == data[5 * MIB..10 * MIB]);
    assert_eq!(names(&host.store().join("blobs")).len(), 3);
    assert_eq!(host.running.activity().unfinished_uploads, 0);
    client.delete_object().bucket(BUCKET).key("film").send().await.unwrap();
    assert_eq!(names(&host.store().join("blobs")).len(), 0);
}

#[tokio::test]
async fn wrong_parts_are_refused_and_the_upload_stays() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let upload = begin(&client, "k").await;
    let big = part(&client, "k", &upload, 1, &vec![1; 5 * MIB]).await;
    let small = part(&client, "k", &upload, 2, b"small").await;
    let last = part(&client, "k", &upload, 3, b"last").await;
    let complete = async |parts: &[CompletedPart]| {
        let call = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&upload);
        call.multipart_upload(list(parts)).send().await
    };
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"00000000000000000000000000000000\"")
        .build();
    assert_eq!(code(complete(&[wrong]).await), "InvalidPart");
    let missing = CompletedPart::builder().part_number(4).set_e_tag(last.e_tag.clone()).build();
    assert_eq!(code(complete(&[big.clone(), missing]).await), "InvalidPart");
    assert_eq!(code(complete(&[last.clone(), big.clone()]).await), "InvalidPartOrder");
    assert_eq!(code(complete(&[big.clone(), big.clone()]).await), "InvalidPartOrder");
    assert_eq!(code(complete(&[big.clone(), small, last.clone()]).await), "EntityTooSmall");
    assert_eq!(code(complete(&[]).await), "MalformedXML");
    assert_eq!(code(client.get_object().bucket(BUCKET).key("k").send().await), "NoSuchKey");
    complete(&[big, last]).await.unwrap();
}

#[tokio::test]
async fn aborted_upload_leaves_nothing() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let upload = begin(&client, "k").await;
    let sent = part(&client, "k", &upload, 1, b"x").await;
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&upload)
        .send()
        .await
        .unwrap();
    assert_eq!(names(&host.store().join("blobs")).len(), 0);
    let again =
        client.upload_part().bucket(BUCKET).key("k").upload_id(&upload).part_number(1).send().await;
    assert_eq!(code(again), "NoSuchUpload");
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&upload);
    assert_eq!(code(complete.multipart_upload(list(&[sent])).send().await), "NoSuchUpload");
    let listed = client.list_parts().bucket(BUCKET).key("k").upload_id(&upload).send().await;
    assert_eq!(code(listed), "NoSuchUpload");
}

#[tokio::test]
async fn upload_of_one_key_is_not_an_upload_of_another() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let upload = begin(&client, "k").await;
    let other =
        client.upload_part().bucket(BUCKET).key("l").upload_id(&upload).part_number(1).send().await;
    assert_eq!(code(other), "NoSuchUpload");
}

#[tokio::test]
async fn uploads_are_listed_page_by_page() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let mut begun = Vec::new();
    for key in ["a", "b", "b", "b", "c", "d/1"] {
        begun.push((key.to_owned(), begin(&client, key).await));
    }
    begun.sort();
    let (mut seen, mut key, mut id) = (Vec::new(), None, None);
    loop {
        let call = client.list_multipart_uploads().bucket(BUCKET).max_uploads(2);
        let page = call.set_key_marker(key).set_upload_id_marker(id).send().await.unwrap();
        seen.extend(page.uploads().iter().map(|upload| {
            (upload.key().unwrap().to_owned(), upload.upload_id().unwrap().to_owned())
        }));
        if page.is_truncated() != Some(true) {
            break;
        }
        (key, id) = (page.next_key_marker, page.next_upload_id_marker);
    }
    assert_eq!(seen, begun);
    let from = client.list_multipart_uploads().bucket(BUCKET).key_marker("b").send().await.unwrap();
    assert_eq!(from.uploads().len(), 2);
    let under = client.list_multipart_uploads().bucket(BUCKET).prefix("d/").send().await.unwrap();
    assert_eq!(under.uploads().len(), 1);
}

#[tokio::test]
async fn checksum_of_the_whole_is_answered_for_parts() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let data = bytes(5 * MIB + 1000, 5);
    let cases = [
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject),
        (ChecksumAlgorithm::Crc32C, ChecksumType::FullObject),
        (ChecksumAlgorithm::Crc32, ChecksumType::Composite),
        (ChecksumAlgorithm::Sha256, ChecksumType::Composite),
    ];
    for (algorithm, kind) in cases {
        let create = client.create_multipart_upload().bucket(BUCKET).key("parts");
        let create = create
            .checksum_algorithm(algorithm.clone())
            .checksum_type(kind.clone())
            .send()
            .await
            .unwrap();
        let upload = create.upload_id.unwrap();
        let mut parts = Vec::new();
        for (number, data) in [(1, &data[..5 * MIB]), (2, &data[5 * MIB..])] {
            let call = client
                .upload_part()
                .bucket(BUCKET)
                .key("parts")
                .upload_id(&upload)
                .part_number(number);
            let call =
                call.checksum_algorithm(algorithm.clone()).body(ByteStream::from(data.to_vec()));
            let sent = call.send().await.unwrap();
            let named = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
            let named = named
                .set_checksum_crc32(sent.checksum_crc32)
                .set_checksum_crc32_c(sent.checksum_crc32_c);
            let named = named.set_checksum_sha256(sent.checksum_sha256);
            parts.push(named.set_checksum_crc64_nvme(sent.checksum_crc64_nvme).build());
        }
        let complete =
            client.complete_multipart_upload().bucket(BUCKET).key("parts").upload_id(&upload);
        complete.multipart_upload(list(&parts)).send().await.unwrap();
        let head =
            client.head_object().bucket(BUCKET).key("parts").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        assert_eq!(head.checksum_type(), Some(&kind));
        let put =
            client.put_object().bucket(BUCKET).key("whole").checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from(data.clone())).send().await.unwrap();
        // One request and two parts agree on the checksum of the whole; a composite says its parts.
        match algorithm {
            ChecksumAlgorithm::Crc64Nvme => {
                assert_eq!(head.checksum_crc64_nvme(), put.checksum_crc64_nvme());
            }
            ChecksumAlgorithm::Crc32C => {
                assert_eq!(head.checksum_crc32_c(), put.checksum_crc32_c());
            }
            ChecksumAlgorithm::Crc32 => assert!(head.checksum_crc32().unwrap().ends_with("-2")),
            _ => assert!(head.checksum_sha256().unwrap().ends_with("-2")),
        }
    }
}
