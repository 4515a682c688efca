//! What a task gets that is run by hand, without a worker: the same grants.

use super::{StartError, egress, secrets, steered};
use crate::config::{Config, InjectLine};
use crate::policy::grants;
use crate::task::ModuleName;
use celeriac_sandbox::{Egress, Grants};
use std::collections::BTreeSet;

/// Returns what the configuration grants to a task, and how its requests by HTTP are sent.
/// Only secrets of its own are read: others may be at home elsewhere.
///
/// # Errors
/// When a secret that it is granted cannot be read, or outgoing HTTP cannot be prepared.
pub fn by_hand(
    config: &Config,
    module: &ModuleName,
    task: &str,
) -> Result<(Grants, Egress), StartError> {
    let mut config = config.clone();
    let module = module.as_str();
    config
        .grants
        .retain(|whom, _| grants::is_for(whom, module, task));
    let stores = || config.grants.values().map(|grant| &grant.stores);
    let read = stores().flat_map(|stores| stores.secrets.iter().map(String::as_str));
    let sent = stores().flat_map(|stores| stores.inject.iter().flat_map(InjectLine::secrets));
    let wanted: BTreeSet<String> = read.chain(sent).map(str::to_owned).collect();
    config.secrets.retain(|name, _| wanted.contains(name));
    let secrets = secrets::read(&config)?;
    let granted = steered::granted(&config, &secrets);
    Ok((grants::of(&granted, module, task), egress::of(&config)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;
    use std::path::Path;

    #[test]
    fn a_task_gets_its_own_grants_and_no_secret_of_another_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "hunter2\n").unwrap();
        let text = format!(
            "[secrets]\nTOKEN = {{ file = {token:?} }}\nAWAY = {{ file = \"/nowhere/x\" }}\n\
             [grants.shop]\nsecrets = [\"TOKEN\"]\nscratch = \"1MiB\"\n\
             [grants.bank]\nsecrets = [\"AWAY\"]\n"
        );
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), &text).unwrap();
        let (config, _) = Config::check(raw).unwrap();
        let given = |module: &str| by_hand(&config, &module.parse().unwrap(), "t");
        let (grants, _) = given("shop").unwrap();
        let names: Vec<&str> = grants.secrets.keys().map(String::as_str).collect();
        assert_eq!((names, grants.scratch), (vec!["TOKEN"], 1 << 20));
        let error = given("bank").unwrap_err().to_string();
        assert!(error.contains("\"AWAY\""), "{error}");
        let (nothing, _) = given("mail").unwrap();
        assert_eq!(nothing, Grants::at("[grants.\"mail\"]"));
    }
}
