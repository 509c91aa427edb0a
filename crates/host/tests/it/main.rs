//! The real ports against real peers: a CRI server and a Docker on unix sockets; an API server, members of etcd and HTTP
//! servers on loopback.

// Tests may touch the world.
#![allow(clippy::disallowed_methods, missing_docs)]

mod cluster;
mod docker;
mod etcd;
mod http_get;
mod runtimes;
mod server;
