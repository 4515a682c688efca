//! What seccomp keeps: system calls, by their numbers and plain arguments.

mod lists;

use lists::{Call, Is, Rule};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;

/// Leaves the calls of a compiler; every other one kills the process.
pub(super) fn cage() -> Result<(), String> {
    let own = u64::from(std::process::id());
    let filter = filter(
        lists::compiler(own),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
    )?;
    apply(&filter)
}

/// Takes the calls of administrators and attackers from a worker; each is an error then.
pub(super) fn wall() -> Result<(), String> {
    errors(lists::refused())
}

/// Takes from a process of guests, beside that, all that makes processes, asks others for
/// something, and makes sockets; with a network those of the internet are left.
pub(super) fn cell(network: bool) -> Result<(), String> {
    let own = u64::from(std::process::id());
    errors(lists::refused_in_cell(own, network))
}

fn errors(refused: Vec<Call>) -> Result<(), String> {
    let error = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    // Both are made before one is applied, so that there is never half a wall.
    let refused = filter(refused, SeccompAction::Allow, error)?;
    let unknown = filter(lists::unknown(), SeccompAction::Allow, unknown)?;
    apply(&refused)?;
    apply(&unknown)
}

fn filter(
    calls: Vec<Call>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for Call { number, when } in calls {
        let of = rules.entry(number).or_default();
        for rule in when {
            of.push(conditions(&rule).map_err(|error| error.to_string())?);
        }
    }
    SeccompFilter::new(rules, others, these, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}

/// All conditions of a rule must hold.
fn conditions(rule: &Rule) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(argument, is): &(u8, Is)| {
        // The kernel, too, looks at the lower half only where it wants a small number.
        let (length, compare, value) = match *is {
            Is::Equal(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value),
            Is::Other(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value),
            Is::Masked { mask, value } => {
                (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
            }
            Is::Null => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
        };
        SeccompCondition::new(*argument, length, compare, value)
    };
    SeccompRule::new(rule.iter().map(condition).collect::<Result<_, _>>()?)
}

fn apply(filter: &BpfProgram) -> Result<(), String> {
    apply_filter(filter).map_err(|error| format!("this kernel takes no filter: {error}"))
}
