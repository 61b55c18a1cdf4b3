//! Any bytes are type information or are refused; whatever is asked of them is answered.
#![no_main]

use agent::btf::Btf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = Btf::parse(bytes) else { return };
    for id in 0..16 {
        btf.offset_of(id, "a.b");
        btf.size_of(id);
    }
    btf.structure("task_struct");
});
