//! What is done on the server of a tenant's messages.

use super::StartError;
use crate::platform::broker::Command;
use crate::resp::RedisServer;

/// Runs commands on a Redis server.
///
/// # Errors
/// [`StartError::Address`] for another address, [`StartError::Setup`] for what the server
/// said.
pub async fn tell_redis(server: &str, commands: &[Command]) -> Result<(), StartError> {
    let wrong = |source| StartError::Address {
        key: "--on",
        source,
    };
    let server = RedisServer::new(server).map_err(wrong)?;
    for command in commands {
        let told = server.tell(command.words()).await;
        told.map_err(|error| StartError::Setup {
            reason: error.to_string(),
        })?;
    }
    Ok(())
}
