//! No text makes the loader panic.

use proptest::prelude::*;

use crate::configuration::GOOD;
use crate::edits::edited_text;
use crate::support::{configuration, is_yaml};

proptest! {
    #[test]
    fn fuzz_configuration(text in edited_text(&[GOOD, "exporters: {debug: {verbosity: '${env:A:-basic}'}}"])) {
        prop_assume!(is_yaml(&text));
        if let Err(error) = configuration(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
