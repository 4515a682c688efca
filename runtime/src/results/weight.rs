//! How many bytes what is stored about a task takes.

use super::{Exception, Extended, Write};

impl Write {
    /// Returns the bytes of its texts, as its callers and guests chose them; what every
    /// backend adds is not counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let result = self.result.as_ref().map_or(0, |result| result.len());
        let log = self.log.as_ref().map_or(0, String::len);
        let all = [
            self.id.as_str().len(),
            self.task.len(),
            result,
            log,
            self.children.len(),
            self.exception.as_ref().map_or(0, thrown),
            self.extended.as_ref().map_or(0, added),
        ];
        all.iter().fold(0, |sum: u64, one| {
            sum.saturating_add(u64::try_from(*one).unwrap_or(u64::MAX))
        })
    }
}

fn thrown(exception: &Exception) -> usize {
    let trace = exception.trace.as_ref().map_or(0, String::len);
    [
        exception.class.len(),
        exception.module.len(),
        exception.message.len(),
        trace,
    ]
    .iter()
    .sum()
}

fn added(extended: &Extended) -> usize {
    extended.args.len().saturating_add(extended.kwargs.len())
}
