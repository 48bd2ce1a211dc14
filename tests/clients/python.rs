//! boto3 with its runtime (crt), and minio's SDK.

use super::functions_of;

mod boto3 {
    super::functions_of! {
        "with_boto3.py":
        objects_are_kept_looked_at_and_deleted,
        each_checksum_is_compared_and_given_back,
        parts_have_checksums_of_the_whole_and_of_the_parts,
        upload_that_is_aborted_leaves_nothing,
        conditions_hold_when_writing_and_reading,
        ranges_give_what_they_name,
        links_open_until_they_are_forged,
        transfer_manager_moves_large_files,
        crt_sends_each_checksum_before_and_after_the_bytes,
        crt_gets_large_objects_in_ranges,
        crt_transfer_manager_moves_files,
    }
}

mod minio {
    super::functions_of! {
        "with_minio.py":
        buckets_are_found_and_kept,
        objects_of_any_key_are_kept_listed_and_deleted,
        large_objects_go_in_parts,
        links_and_forms_let_others_in,
    }
}
