//! Calls to sled, whose panics become [`Doubt`]s and print nothing.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::Doubt;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call`; a panic or an error of sled becomes a doubt. A panic there is an expected answer, so nothing is printed.
pub(super) fn quietly<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Doubt> {
    hush_marked_threads();
    let before = QUIET.replace(true);
    // Unwind safety: whatever sled left half done is thrown away with the whole index.
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    QUIET.set(before);
    match outcome {
        Ok(answer) => answer.map_err(|error| Doubt::Failed(error.to_string())),
        Err(payload) => Err(Doubt::Panicked(words(&*payload))),
    }
}

/// The hook is the process's: ours asks the thread whether it is inside sled, and hands on every other panic.
fn hush_marked_threads() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                next(info);
            }
        }));
    });
}

fn words(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        let doubt = quietly::<()>(|| panic!("tried to serialize {}", "Uninitialized")).unwrap_err();
        let words = "sled panicked: tried to serialize Uninitialized";
        assert_eq!(doubt.to_string(), words);
        assert_eq!(quietly(|| Ok(7)), Ok(7));
        assert!(!QUIET.get());
    }
}
