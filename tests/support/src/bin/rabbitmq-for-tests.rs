//! Runs a private RabbitMQ server for a run of tests: prints its ports as `PORT:PORT`,
//! and ends it when nobody holds the standard input any more.

#![expect(clippy::print_stdout, reason = "its answer is what it prints")]

use std::io::Read as _;
use support::rabbitmq::RabbitServer;

fn main() {
    let server = RabbitServer::start();
    let [amqp, http] = server.ports();
    println!("{amqp}:{http}");
    let mut rest = Vec::new();
    // The end of the input, however it comes, is the end of the run.
    let _end = std::io::stdin().read_to_end(&mut rest);
    drop(server);
}
