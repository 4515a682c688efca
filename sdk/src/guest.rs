//! The component's exports: from the contract's calls to the tasks of `export!`.

use std::panic::PanicHookInfo;

use crate::TaskError;
use crate::bindings::celeriac::task::log;
use crate::bindings::celeriac::task::types::{Call as WireCall, OutcomeError, Payload};
use crate::bindings::exports::celeriac::task::{handler, manifest};
use crate::context::{Context, Host};
use crate::task::{Call, Definition, Task};

/// The media type of every value.
const JSON: &str = "application/json";

/// One task of a component.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    definition: Definition,
    run: fn(&Context, Call) -> Result<Vec<u8>, TaskError>,
}

impl Entry {
    /// The entry of a task.
    pub const fn of<T: Task>() -> Self {
        Self {
            definition: T::DEFINITION,
            run: T::run,
        }
    }
}

/// A component: what `export!` lists.
pub trait Component {
    /// Its tasks.
    const TASKS: &'static [Entry];
}

impl<C: Component> manifest::Guest for C {
    fn describe() -> Vec<manifest::TaskInfo> {
        report_panics();
        C::TASKS
            .iter()
            .map(|entry| entry.definition.describe())
            .collect()
    }
}

impl<C: Component> handler::Guest for C {
    fn run(call: WireCall) -> Result<Payload, OutcomeError> {
        report_panics();
        let entry = C::TASKS
            .iter()
            .find(|entry| entry.definition.signature.name == call.task);
        let Some(entry) = entry else {
            let message = format_args!("this component has no task {:?}", call.task);
            return Err(TaskError::fail("NotRegistered", message).into());
        };
        let data = (entry.run)(
            &Context::new(Host),
            Call {
                args: call.args.data,
                kwargs: call.kwargs.data,
            },
        )?;
        Ok(Payload {
            content_type: JSON.to_owned(),
            data,
        })
    }
}

/// Sends the text of a panic to the log, because the trap that follows carries none.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        let message = match panic.location() {
            Some(place) => format!(
                "{text} ({}:{}:{})",
                place.file(),
                place.line(),
                place.column()
            ),
            None => text.to_owned(),
        };
        log::emit(
            log::Level::Error,
            &message,
            &[("panic".to_owned(), "true".to_owned())],
        );
    }));
}
