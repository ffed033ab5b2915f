//! Errors are found by type, printed as a chain, and converted without loss.

use std::error::Error as StdError;
use std::num::ParseIntError;

use wasmrun::{Context, Error, I32Exit, Result, Trap};

fn parse(text: &str) -> Result<i32> {
    let number = text.parse::<i32>().with_context(|| format!("`{text}` is not a number"))?;
    Ok(number)
}

#[test]
fn causes_are_printed_below_the_message() {
    let error = parse("x").unwrap_err().context("cannot read the settings");
    let causes = "cannot read the settings\n\nCaused by:\n    0: `x` is not a number\n    1: invalid digit \
                  found in string";
    assert_eq!(format!("{error:?}"), causes);
    let line = "cannot read the settings: `x` is not a number: invalid digit found in string";
    assert_eq!(format!("{error:#}"), line);
    let one = Error::msg("disk full").context("cannot save");
    assert_eq!(format!("{one:?}"), "cannot save\n\nCaused by:\n    disk full");
    assert_eq!(format!("{:?}", Error::msg("alone")), "alone");
}

#[test]
fn contexts_and_causes_are_found_by_type() {
    #[derive(Debug, PartialEq)]
    struct Place(u32);
    impl std::fmt::Display for Place {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at {}", self.0)
        }
    }
    let mut error = parse("x").unwrap_err().context(Place(3));
    assert_eq!(error.downcast_ref(), Some(&Place(3)));
    assert!(error.is::<ParseIntError>());
    assert!(!error.is::<I32Exit>());
    assert_eq!(error.chain().count(), 3);
    assert!(error.root_cause().is::<ParseIntError>());
    error = error.downcast::<I32Exit>().unwrap_err();
    assert_eq!(error.to_string(), "at 3");
    assert!(error.downcast::<ParseIntError>().is_ok());
}

#[test]
fn errors_survive_a_trip_through_the_standard_trait() {
    let boxed: Box<dyn StdError + Send + Sync> = Error::from(Trap::StackOverflow).context("outer").into();
    assert_eq!(boxed.to_string(), "outer");
    assert_eq!(boxed.source().unwrap().to_string(), "call stack exhausted");
    let error = Error::from_boxed(boxed);
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    fn main() -> Result<(), Box<dyn StdError>> {
        parse("x")?;
        Ok(())
    }
    assert_eq!(main().unwrap_err().to_string(), "`x` is not a number");
}
