//! The scripted server seen from outside: by a reader of its own and by the vendors' own clients.

mod clients;
mod faults;
mod raw;
mod refusals;
mod same;
