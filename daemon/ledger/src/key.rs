//! The keys of the index.
//!
//! A byte that says what the key is about, then its parts, each of fixed length or ended by a zero byte, so that a prefix
//! never means two things. What is to be listed newest first carries its time, or its UUID, with every bit turned.

use begat_schemas::{
    AttemptId, InputName, LaunchId, OutputName, RecipeName, RefName, RunId, RunState, StageKind,
    StageName, Time, TreeDigest,
};
use uuid::Uuid;

pub(crate) type Key = Vec<u8>;

/// What a key is about.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum About {
    Launch = b'L',
    StageRun = b'J',
    RecipeLaunch = b'M',
    OpenLaunch = b'O',
    Run = b'R',
    RunStatus = b'S',
    RunByTime = b'T',
    RunByState = b'Q',
    RunByRecipe = b'E',
    FinishedByKind = b'N',
    RunUse = b'K',
    Attempt = b'A',
    AttemptStatus = b'B',
    AttemptEnd = b'C',
    LiveAttempt = b'a',
    Producer = b'P',
    Consumer = b'U',
    Ref = b'F',
    RefMove = b'H',
    RefTo = b'G',
    Addition = b'D',
    Reproduction = b'V',
    Verdict = b'v',
    OpenReproduction = b'o',
    Count = b'#',
}

/// What is set again or removed in the ordinary course of things; small values only.
pub(crate) const CHANGING: [u8; 9] = [
    About::RunStatus as u8,
    About::RunByState as u8,
    About::AttemptStatus as u8,
    About::LiveAttempt as u8,
    About::OpenLaunch as u8,
    About::OpenReproduction as u8,
    About::Ref as u8,
    About::RefTo as u8,
    About::Count as u8,
];

impl About {
    /// The prefix of all keys about this, or of those with these first parts.
    pub(crate) fn prefix(self, parts: &[&[u8]]) -> Key {
        let mut key = vec![self as u8];
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }
}

const END: &[u8] = &[0];

pub(crate) fn turned(uuid: &Uuid) -> [u8; 16] {
    uuid.as_bytes().map(|byte| !byte)
}

fn turned_time(time: Time) -> [u8; 8] {
    // Times before 1970 do not occur; should one, it is merely listed out of order.
    (!time.as_milliseconds().cast_unsigned()).to_be_bytes()
}

pub(crate) fn launch(id: LaunchId) -> Key {
    About::Launch.prefix(&[&turned(id.uuid())])
}

pub(crate) fn stage_run(id: LaunchId, stage: &StageName) -> Key {
    About::StageRun.prefix(&[id.uuid().as_bytes(), stage.as_str().as_bytes()])
}

pub(crate) fn stage_runs(id: LaunchId) -> Key {
    About::StageRun.prefix(&[id.uuid().as_bytes()])
}

pub(crate) fn recipe_launch(recipe: &RecipeName, id: LaunchId) -> Key {
    About::RecipeLaunch.prefix(&[recipe.as_str().as_bytes(), END, &turned(id.uuid())])
}

pub(crate) fn recipe_launches(recipe: &RecipeName) -> Key {
    About::RecipeLaunch.prefix(&[recipe.as_str().as_bytes(), END])
}

pub(crate) fn open_launch(id: LaunchId) -> Key {
    About::OpenLaunch.prefix(&[id.uuid().as_bytes()])
}

pub(crate) fn run(id: RunId) -> Key {
    About::Run.prefix(&[id.as_bytes()])
}

pub(crate) fn run_status(id: RunId) -> Key {
    About::RunStatus.prefix(&[id.as_bytes()])
}

pub(crate) fn run_by_time(declared: Time, id: RunId) -> Key {
    About::RunByTime.prefix(&[&turned_time(declared), id.as_bytes()])
}

pub(crate) fn run_by_state(state: RunState, declared: Time, id: RunId) -> Key {
    About::RunByState.prefix(&[
        state.name().as_bytes(),
        END,
        &turned_time(declared),
        id.as_bytes(),
    ])
}

pub(crate) fn runs_by_state(state: RunState) -> Key {
    About::RunByState.prefix(&[state.name().as_bytes(), END])
}

pub(crate) fn run_by_recipe(recipe: &RecipeName, declared: Time, id: RunId) -> Key {
    About::RunByRecipe.prefix(&[
        recipe.as_str().as_bytes(),
        END,
        &turned_time(declared),
        id.as_bytes(),
    ])
}

pub(crate) fn runs_by_recipe(recipe: &RecipeName) -> Key {
    About::RunByRecipe.prefix(&[recipe.as_str().as_bytes(), END])
}

pub(crate) fn finished(kind: StageKind, declared: Time, id: RunId) -> Key {
    About::FinishedByKind.prefix(&[
        kind.name().as_bytes(),
        END,
        &turned_time(declared),
        id.as_bytes(),
    ])
}

pub(crate) fn finished_of(kind: StageKind) -> Key {
    About::FinishedByKind.prefix(&[kind.name().as_bytes(), END])
}

pub(crate) fn run_use(id: RunId, number: u32) -> Key {
    About::RunUse.prefix(&[id.as_bytes(), &number.to_be_bytes()])
}

pub(crate) fn attempt(about: About, id: AttemptId) -> Key {
    about.prefix(&[id.run.as_bytes(), &id.number.to_be_bytes()])
}

pub(crate) fn output_of(tree: TreeDigest, id: AttemptId, output: &OutputName) -> Key {
    producer(tree, id, output.as_str())
}

pub(crate) fn checkpoint_of(tree: TreeDigest, id: AttemptId, step: u64) -> Key {
    // No output's name begins with `@`.
    producer(tree, id, &format!("@{step}"))
}

fn producer(tree: TreeDigest, id: AttemptId, what: &str) -> Key {
    About::Producer.prefix(&[
        tree.as_bytes(),
        id.run.as_bytes(),
        &id.number.to_be_bytes(),
        what.as_bytes(),
    ])
}

pub(crate) fn producers(tree: TreeDigest) -> Key {
    About::Producer.prefix(&[tree.as_bytes()])
}

pub(crate) fn consumer(tree: TreeDigest, id: RunId, input: &InputName) -> Key {
    About::Consumer.prefix(&[tree.as_bytes(), id.as_bytes(), input.as_str().as_bytes()])
}

pub(crate) fn consumers(tree: TreeDigest) -> Key {
    About::Consumer.prefix(&[tree.as_bytes()])
}

pub(crate) fn reference(name: &RefName) -> Key {
    About::Ref.prefix(&[name.as_str().as_bytes()])
}

pub(crate) fn ref_move(name: &RefName, number: u64) -> Key {
    About::RefMove.prefix(&[name.as_str().as_bytes(), END, &number.to_be_bytes()])
}

pub(crate) fn ref_moves(name: &RefName) -> Key {
    About::RefMove.prefix(&[name.as_str().as_bytes(), END])
}

pub(crate) fn ref_to(tree: TreeDigest, name: &RefName) -> Key {
    About::RefTo.prefix(&[tree.as_bytes(), name.as_str().as_bytes()])
}

pub(crate) fn refs_to(tree: TreeDigest) -> Key {
    About::RefTo.prefix(&[tree.as_bytes()])
}

pub(crate) fn addition(tree: TreeDigest, time: Time, by: &str) -> Key {
    let time = time.as_milliseconds().cast_unsigned().to_be_bytes();
    About::Addition.prefix(&[tree.as_bytes(), &time, by.as_bytes()])
}

pub(crate) fn additions(tree: TreeDigest) -> Key {
    About::Addition.prefix(&[tree.as_bytes()])
}

pub(crate) fn reproduction(id: Uuid) -> Key {
    About::Reproduction.prefix(&[&turned(&id)])
}

pub(crate) fn verdict(id: Uuid, run: RunId) -> Key {
    About::Verdict.prefix(&[id.as_bytes(), run.as_bytes()])
}

pub(crate) fn open_reproduction(id: Uuid) -> Key {
    About::OpenReproduction.prefix(&[id.as_bytes()])
}

pub(crate) fn count(state: RunState) -> Key {
    About::Count.prefix(&[state.name().as_bytes()])
}

/// The 32 bytes at the end of a key.
pub(crate) fn run_at_end(key: &[u8]) -> Option<RunId> {
    let at = key.len().checked_sub(32)?;
    run_at(key, at)
}

/// The 32 bytes of a key from `at` on.
pub(crate) fn run_at(key: &[u8], at: usize) -> Option<RunId> {
    let bytes = key.get(at..at.checked_add(32)?)?.try_into().ok()?;
    Some(RunId::new(begat_schemas::Digest::from_bytes(bytes)))
}

/// The UUID at the end of a key.
pub(crate) fn uuid_at_end(key: &[u8]) -> Option<Uuid> {
    let bytes = key.get(key.len().checked_sub(16)?..)?.try_into().ok()?;
    Some(Uuid::from_bytes(bytes))
}

/// The turned UUID at the end of a key.
pub(crate) fn turned_uuid_at_end(key: &[u8]) -> Option<Uuid> {
    uuid_at_end(key).map(|uuid| Uuid::from_bytes(turned(&uuid)))
}

/// The text of a key from `at` on.
pub(crate) fn text_at(key: &[u8], at: usize) -> Option<&str> {
    std::str::from_utf8(key.get(at..)?).ok()
}
