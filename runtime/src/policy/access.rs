//! Who may do what over the control plane: a table of scopes and actions.
//!
//! Whatever is not in it is refused.

use crate::task::{Scope, TenantName};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Look at the list of all tenants.
    ListTenants,
    /// Make, change, suspend, resume or delete a tenant.
    ManageTenants,
    /// Look at a tenant: its terms, without addresses.
    ReadTenant,
    /// Make, list, rotate or revoke the tokens of operators and workers.
    ManageOperatorTokens,
    /// Make, list, rotate or revoke the tokens of a tenant.
    ManageTokens,
    /// List modules, their versions and tasks.
    ReadModules,
    /// Push, roll back or remove modules.
    ChangeModules,
    /// See what is killed.
    ReadKills,
    /// Kill tasks and modules of a tenant, or all of it, and allow them again.
    Kill,
    /// Kill a component for everybody, and allow it again.
    KillEverywhere,
    /// Call tasks.
    CallTasks,
    /// Read the states, results and events of tasks.
    ReadTasks,
    /// Revoke tasks.
    RevokeTasks,
    /// See what a tenant used.
    ReadUsage,
    /// See what all tenants used.
    ReadWholeUsage,
    /// See what was changed of a tenant, and by whom.
    ReadAudit,
    /// See what was changed of everybody.
    ReadWholeAudit,
    /// See what the installation counts, of all tenants together.
    ReadMetrics,
    /// Follow changes, fetch components, tell what was used: what workers do.
    Serve,
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Do it.
    Granted,
    /// Say that the token's scope is not enough: it is their own tenant, or nobody's.
    Forbidden,
    /// Say what is said of what is not there: it is another tenant's.
    Hidden,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 19] = [
        Self::ListTenants,
        Self::ManageTenants,
        Self::ReadTenant,
        Self::ManageOperatorTokens,
        Self::ManageTokens,
        Self::ReadModules,
        Self::ChangeModules,
        Self::ReadKills,
        Self::Kill,
        Self::KillEverywhere,
        Self::CallTasks,
        Self::ReadTasks,
        Self::RevokeTasks,
        Self::ReadUsage,
        Self::ReadWholeUsage,
        Self::ReadAudit,
        Self::ReadWholeAudit,
        Self::ReadMetrics,
        Self::Serve,
    ];

    /// Tells whether it is done to one tenant.
    #[must_use]
    pub fn is_of_a_tenant(self) -> bool {
        match self {
            Self::ReadTenant
            | Self::ManageTokens
            | Self::ReadModules
            | Self::ChangeModules
            | Self::ReadKills
            | Self::Kill
            | Self::CallTasks
            | Self::ReadTasks
            | Self::RevokeTasks
            | Self::ReadUsage
            | Self::ReadAudit => true,
            Self::ListTenants
            | Self::ManageTenants
            | Self::ManageOperatorTokens
            | Self::KillEverywhere
            | Self::ReadWholeUsage
            | Self::ReadWholeAudit
            | Self::ReadMetrics
            | Self::Serve => false,
        }
    }

    /// Tells whether a tenant's own tokens may still do it while the tenant is suspended:
    /// they may look, and stop what is theirs.
    #[must_use]
    pub fn goes_on_while_suspended(self) -> bool {
        match self {
            Self::ReadTenant
            | Self::ReadModules
            | Self::ReadKills
            | Self::Kill
            | Self::ReadTasks
            | Self::RevokeTasks
            | Self::ReadUsage
            | Self::ReadAudit => true,
            Self::ListTenants
            | Self::ManageTenants
            | Self::ManageOperatorTokens
            | Self::ManageTokens
            | Self::ChangeModules
            | Self::KillEverywhere
            | Self::CallTasks
            | Self::ReadWholeUsage
            | Self::ReadWholeAudit
            | Self::ReadMetrics
            | Self::Serve => false,
        }
    }
}

/// Says whether a token of `scope`, which belongs to the tenant `own` (operators' and
/// workers' to none), may do something to the tenant `to` (`None` where it is done to
/// the whole installation).
#[must_use]
pub fn may(
    scope: Scope,
    own: Option<&TenantName>,
    action: Action,
    to: Option<&TenantName>,
) -> Answer {
    // Nobody made such a token, and no door asks such a question.
    if scope.is_of_a_tenant() != own.is_some() {
        return Answer::Hidden;
    }
    if action.is_of_a_tenant() != to.is_some() {
        return Answer::Forbidden;
    }
    // What others have looks like what is not there, before anything is said of scopes.
    if scope.is_of_a_tenant() && to.is_some() && own != to {
        return Answer::Hidden;
    }
    if allows(scope, action) {
        Answer::Granted
    } else if scope == Scope::Worker && to.is_some() {
        Answer::Hidden
    } else {
        Answer::Forbidden
    }
}

/// The table.
fn allows(scope: Scope, action: Action) -> bool {
    use Scope::{Call, Deploy, Operator, ReadOnly, TenantAdmin, Worker};
    let scopes: &[Scope] = match action {
        Action::ListTenants
        | Action::ManageTenants
        | Action::ManageOperatorTokens
        | Action::KillEverywhere
        | Action::ReadWholeUsage
        | Action::ReadWholeAudit => &[Operator],
        Action::ReadTenant => &[Operator, TenantAdmin, Deploy, Call, ReadOnly],
        Action::ManageTokens | Action::ReadAudit | Action::Kill => &[Operator, TenantAdmin],
        Action::ReadModules | Action::ReadKills => &[Operator, TenantAdmin, Deploy, ReadOnly],
        Action::ChangeModules => &[Operator, TenantAdmin, Deploy],
        Action::CallTasks | Action::RevokeTasks => &[Operator, TenantAdmin, Call],
        Action::ReadTasks => &[Operator, TenantAdmin, Call, ReadOnly],
        Action::ReadUsage => &[Operator, TenantAdmin, ReadOnly],
        // A collector of metrics is better off with the lesser token.
        Action::ReadMetrics => &[Operator, Worker],
        // An operator who wants this makes a worker's token, and the audit has it.
        Action::Serve => &[Worker],
    };
    scopes.contains(&scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table once more, as people read it: one letter for each scope, in the order of
    /// [`Scope::ALL`].
    const TABLE: [(Action, &str); 19] = [
        (Action::ListTenants, "o-----"),
        (Action::ManageTenants, "o-----"),
        (Action::ReadTenant, "oadcr-"),
        (Action::ManageOperatorTokens, "o-----"),
        (Action::ManageTokens, "oa----"),
        (Action::ReadModules, "oad-r-"),
        (Action::ChangeModules, "oad---"),
        (Action::ReadKills, "oad-r-"),
        (Action::Kill, "oa----"),
        (Action::KillEverywhere, "o-----"),
        (Action::CallTasks, "oa-c--"),
        (Action::ReadTasks, "oa-cr-"),
        (Action::RevokeTasks, "oa-c--"),
        (Action::ReadUsage, "oa--r-"),
        (Action::ReadWholeUsage, "o-----"),
        (Action::ReadAudit, "oa----"),
        (Action::ReadWholeAudit, "o-----"),
        (Action::ReadMetrics, "o----w"),
        (Action::Serve, "-----w"),
    ];

    fn name(text: &str) -> TenantName {
        text.parse().unwrap()
    }

    #[test]
    fn every_scope_may_do_what_the_table_says_and_nothing_else() {
        assert_eq!(TABLE.map(|(action, _)| action), Action::ALL);
        let (acme, other) = (name("acme"), name("other"));
        for (action, letters) in TABLE {
            for (scope, letter) in Scope::ALL.into_iter().zip(letters.chars()) {
                let own = scope.is_of_a_tenant().then_some(&acme);
                let case = format!("{scope} {action:?}");
                let targets: &[Option<&TenantName>] = match action.is_of_a_tenant() {
                    true => &[Some(&acme), Some(&other)],
                    false => &[None],
                };
                for to in targets {
                    let is_theirs = own.is_some() && to.is_some() && own != *to;
                    let expected = match letter {
                        _ if is_theirs => Answer::Hidden,
                        '-' if scope == Scope::Worker && to.is_some() => Answer::Hidden,
                        '-' => Answer::Forbidden,
                        _ => Answer::Granted,
                    };
                    assert_eq!(may(scope, own, action, *to), expected, "{case} {to:?}");
                }
            }
        }
    }

    #[test]
    fn a_token_or_a_question_that_cannot_be_is_refused() {
        let acme = name("acme");
        for action in Action::ALL {
            for scope in Scope::ALL {
                let wrong = (!scope.is_of_a_tenant()).then_some(&acme);
                for to in [None, Some(&acme)] {
                    assert_ne!(may(scope, wrong, action, to), Answer::Granted);
                }
                let own = scope.is_of_a_tenant().then_some(&acme);
                let wrong = (!action.is_of_a_tenant()).then_some(&acme);
                assert_ne!(may(scope, own, action, wrong), Answer::Granted);
            }
        }
    }

    #[test]
    fn who_is_suspended_may_look_and_stop_and_nothing_else() {
        for action in Action::ALL {
            let looks = format!("{action:?}").starts_with("Read") && action.is_of_a_tenant();
            let stops = matches!(action, Action::Kill | Action::RevokeTasks);
            assert_eq!(
                action.goes_on_while_suspended(),
                looks || stops,
                "{action:?}"
            );
        }
    }
}
