//! The states of a run and of its attempts, and the one function that moves between them.
//!
//! Everything that happens to a run is a [`StateEvent`]; what it leads to is decided here and nowhere else, so that a
//! record that contradicts what is known is refused before it is written.

use begat_schemas::RunState;

/// What can happen to a run or an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateEvent {
    /// It is to run again and waits for a slot.
    Queue,
    /// Its process starts, from the beginning or from a checkpoint.
    Start,
    /// Its process ended well; what it made is being stored.
    Finish,
    /// Its process was ended from outside.
    Interrupt,
    /// Its outputs are stored.
    Store,
    /// It gave up.
    Fail,
    /// Someone cancelled it.
    Cancel,
}

impl StateEvent {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::Queue,
        Self::Start,
        Self::Finish,
        Self::Interrupt,
        Self::Store,
        Self::Fail,
        Self::Cancel,
    ];

    /// The event that leads to `state`.
    pub const fn leading_to(state: RunState) -> Self {
        match state {
            RunState::Queued => Self::Queue,
            RunState::Running => Self::Start,
            RunState::Storing => Self::Finish,
            RunState::Interrupted => Self::Interrupt,
            RunState::Succeeded => Self::Store,
            RunState::Failed => Self::Fail,
            RunState::Cancelled => Self::Cancel,
        }
    }

    /// The state that it leads to, where it is allowed.
    pub const fn leads_to(self) -> RunState {
        match self {
            Self::Queue => RunState::Queued,
            Self::Start => RunState::Running,
            Self::Finish => RunState::Storing,
            Self::Interrupt => RunState::Interrupted,
            Self::Store => RunState::Succeeded,
            Self::Fail => RunState::Failed,
            Self::Cancel => RunState::Cancelled,
        }
    }
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is {from} cannot become {}", event.leads_to())]
pub struct BadTransition {
    /// The state.
    pub from: RunState,
    /// The event.
    pub event: StateEvent,
}

/// The state that `event` leads to from `state`.
pub const fn transition(state: RunState, event: StateEvent) -> Result<RunState, BadTransition> {
    use RunState::{Cancelled, Failed, Interrupted, Queued, Running, Storing, Succeeded};
    let allowed = match event {
        StateEvent::Queue => matches!(state, Interrupted | Failed | Cancelled),
        StateEvent::Start => matches!(state, Queued | Interrupted | Failed | Cancelled),
        StateEvent::Finish => matches!(state, Running),
        StateEvent::Interrupt => matches!(state, Running | Storing),
        StateEvent::Store => matches!(state, Storing),
        StateEvent::Fail | StateEvent::Cancel => !matches!(state, Succeeded | Failed | Cancelled),
    };
    if allowed {
        Ok(event.leads_to())
    } else {
        Err(BadTransition { from: state, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole table, written out by hand: a row a state, a column an event, in the order of `ALL`.
    const TABLE: [&str; 7] = [
        // Queue Start Finish Interrupt Store Fail Cancel
        ".R...FC", // queued
        "..TI.FC", // running
        "...ISFC", // storing
        "QR...FC", // interrupted
        ".......", // succeeded
        "QR.....", // failed
        "QR.....", // cancelled
    ];

    fn letter(result: Result<RunState, BadTransition>) -> char {
        match result {
            Err(_) => '.',
            Ok(RunState::Queued) => 'Q',
            Ok(RunState::Running) => 'R',
            Ok(RunState::Storing) => 'T',
            Ok(RunState::Interrupted) => 'I',
            Ok(RunState::Succeeded) => 'S',
            Ok(RunState::Failed) => 'F',
            Ok(RunState::Cancelled) => 'C',
        }
    }

    #[test]
    fn every_pair_of_state_and_event_is_decided() {
        for (state, row) in RunState::ALL.into_iter().zip(TABLE) {
            let found: String = StateEvent::ALL
                .into_iter()
                .map(|event| letter(transition(state, event)))
                .collect();
            assert_eq!(found, row, "{state}");
        }
    }

    #[test]
    fn a_refusal_says_both_states() {
        let error = transition(RunState::Succeeded, StateEvent::Cancel).unwrap_err();
        assert_eq!(
            error.to_string(),
            "what is succeeded cannot become cancelled"
        );
    }

    proptest! {
        #[test]
        fn no_history_leaves_success_or_skips_storing(events in prop::collection::vec(0..7_usize, 0..60)) {
            let mut state = RunState::Queued;
            for event in events.into_iter().map(|at| StateEvent::ALL[at]) {
                let Ok(next) = transition(state, event) else { continue };
                prop_assert_ne!(state, RunState::Succeeded);
                prop_assert_eq!(next == RunState::Succeeded, event == StateEvent::Store);
                prop_assert!(next != RunState::Succeeded || state == RunState::Storing);
                prop_assert_eq!(StateEvent::leading_to(next), event);
                state = next;
            }
        }
    }
}
