//! Cells: processes of their own for guests, one for each module.
//!
//! A second wall. An engine that a guest breaks is then in a process that was given no
//! connection to a broker, no password, no key and no folder, and only the tasks of the same
//! module are lost with it: their messages come back, counted as deliveries.

mod asks;
mod cell;
mod ledger;
mod post;
mod run;
mod runs;
mod serve;
mod weigh;
mod wire;

#[cfg(test)]
mod frames;
#[cfg(test)]
mod tests;

pub use serve::serve;

use crate::registry::Loaded;
use celeriac_sandbox::{Attempt, Call, Egress, Grants, Limits, Report, SandboxError};
use cell::{Cell, Program, unpoisoned};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::{Octets, Order, ToCell};

/// Most cells at once (64): each is a process with an engine of its own. Where there are
/// more modules, one that does nothing makes room.
const CELLS: usize = 64;
/// Shortest time between two starts of one cell (1 s): a module that breaks its engine
/// must not make a machine start processes all day.
const AGAIN: Duration = Duration::from_secs(1);

/// The cells of a worker.
#[derive(Debug)]
pub struct Cells {
    program: Program,
    egress: Egress,
    runtime: Handle,
    /// What reads and writes for them, ended with the worker.
    tasks: Mutex<JoinSet<()>>,
    cells: Mutex<HashMap<String, Place>>,
}

#[derive(Debug)]
struct Place {
    cell: Arc<Cell>,
    started: Instant,
    used: Instant,
}

enum Found {
    Cell(Arc<Cell>),
    /// Not before that moment.
    Later(Instant),
}

/// One call for a cell.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) call: Call,
    pub(super) limits: Limits,
    pub(super) grants: Grants,
    pub(super) facts: Attempt,
}

impl Cells {
    /// Prepares cells of this very program, which run so many attempts each on so many
    /// threads. The runtime reads and writes for them: reading what a broken one says takes
    /// time that nothing else should wait for.
    #[must_use]
    pub fn new(attempts: u32, threads: usize, egress: Egress, runtime: Handle) -> Self {
        let arguments = ["cell".to_owned(), attempts.to_string(), threads.to_string()];
        let program = Program {
            // The link stays right when an upgrade replaces the file on disk.
            path: Path::new("/proc/self/exe").to_owned(),
            arguments: arguments.map(OsString::from).into(),
        };
        Self {
            egress,
            ..Self::of(program, runtime)
        }
    }

    fn of(program: Program, runtime: Handle) -> Self {
        Self {
            program,
            egress: Egress::default(),
            runtime,
            tasks: Mutex::default(),
            cells: Mutex::default(),
        }
    }

    /// Runs an attempt in the cell of its module. Dropping the future ends the guest.
    pub(super) async fn invoke(&self, code: &Loaded, work: Work) -> Result<Report, SandboxError> {
        let network = !work.grants.http.hosts.is_empty();
        let cell = self.cell(code, network).await?;
        let Work {
            call,
            limits,
            grants,
            facts,
        } = work;
        let order = Order {
            run: 0,
            code: 0,
            call,
            limits,
            grants,
            facts,
        };
        run::run(&cell, code, order).await
    }

    async fn cell(&self, code: &Loaded, network: bool) -> Result<Arc<Cell>, SandboxError> {
        loop {
            let again = match self.find(code, network)? {
                Found::Cell(cell) => return Ok(cell),
                Found::Later(again) => again,
            };
            tokio::time::sleep_until(again).await;
        }
    }

    /// Finds the cell of a module of a tenant, or starts one unless that was a moment ago. One that has
    /// no network makes room for one that has when a task first needs it.
    fn find(&self, code: &Loaded, mut network: bool) -> Result<Found, SandboxError> {
        let group = &code.known_as();
        let mut cells = unpoisoned(&self.cells);
        let now = Instant::now();
        if let Some(place) = cells.get_mut(group) {
            let suffices = place.cell.has_network() || !network;
            if suffices && place.cell.takes(code.digest) {
                place.used = now;
                return Ok(Found::Cell(Arc::clone(&place.cell)));
            }
            let again = place.started + AGAIN;
            if suffices && again > now {
                return Ok(Found::Later(again));
            }
            network |= place.cell.has_network();
        } else if cells.len() >= CELLS {
            make_room(&mut cells)?;
        }
        let mut tasks = unpoisoned(&self.tasks);
        while tasks.try_join_next().is_some() {}
        let cell = Cell::start(&self.program, group, network, &mut tasks, &self.runtime);
        let cell = cell.map_err(|error| SandboxError::NotStarted {
            reason: error.to_string(),
        })?;
        if network {
            cell.say(self.egress());
        }
        let place = Place {
            cell: Arc::clone(&cell),
            started: now,
            used: now,
        };
        // The runs of the one before go on in it, and it ends with the last.
        cells.insert(group.to_owned(), place);
        Ok(Found::Cell(cell))
    }
}

impl Cells {
    /// What a cell is told of HTTP: it reads no authorities itself.
    fn egress(&self) -> ToCell {
        ToCell::Egress {
            settings: self.egress.settings().clone(),
            authorities: self.egress.authorities().into_iter().map(Octets).collect(),
        }
    }
}

/// Ends the cell that has been idle longest.
fn make_room(cells: &mut HashMap<String, Place>) -> Result<(), SandboxError> {
    let idle = cells.iter().filter(|(_, place)| place.cell.is_idle());
    let oldest = idle.min_by_key(|(_, place)| place.used);
    let Some(group) = oldest.map(|(group, _)| group.clone()) else {
        let slots = u32::try_from(CELLS).unwrap_or(u32::MAX);
        return Err(SandboxError::Busy { slots });
    };
    cells.remove(&group);
    Ok(())
}
