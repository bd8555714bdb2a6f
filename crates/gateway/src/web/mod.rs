//! The web pages: rendered here, scripted by plain modules, readable without a script.

pub mod markdown;

mod assets;
mod chat;
mod page;
mod pages;
pub(crate) mod sign_in;

pub(crate) use pages::routes;
