#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapse_local_store::fuzz::policy(data));
