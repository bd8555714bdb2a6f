//! The web pages: rendered here, scripted by plain modules, readable without a script.

pub mod markdown;

mod assets;
mod chart;
mod chat;
mod frame;
mod page;
mod pages;
mod rooms;
pub(crate) mod sign_in;
mod words;

pub(crate) use pages::routes;
