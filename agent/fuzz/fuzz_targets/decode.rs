//! Any bytes are a record or a reason why not.
#![no_main]

use agent::{decode::decode, event::Event};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Event::Exec(exec)) = decode(bytes) {
        let shown = exec.executable.to_text().len() + exec.working_directory.to_text().len();
        assert!(shown <= 4 * bytes.len());
        assert!(exec.args.iter().count() <= bytes.len());
    }
});
