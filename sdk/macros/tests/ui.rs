//! What an author reads when a task is written wrong.
//!
//! `TRYBUILD=overwrite cargo nextest run -p celeriac-sdk-macros --test ui` rewrites the expected texts.

#[test]
fn a_task_written_wrong_is_told_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
