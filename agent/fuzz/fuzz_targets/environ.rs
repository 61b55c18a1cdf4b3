//! Any bytes are an environment; what is found in it is a valid context, and reads back as itself.
#![no_main]

use agent::{
    environ::{self, AllowList},
    event::Strings,
    propagation,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let env = Strings { bytes: bytes.into(), cut_bytes: 0 };
    let found = environ::read(&env, &AllowList(vec!["STAGE".to_owned()]));
    if let Some(context) = found.context {
        let text = context.to_string();
        let again = propagation::w3c(text.as_bytes(), None);
        assert_eq!(
            again.map(|again| (again.trace_id, again.span_id)),
            Ok((context.trace_id, context.span_id))
        );
    }
});
