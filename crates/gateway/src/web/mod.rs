//! The web pages: rendered here, scripted by plain modules, readable without a script.

pub mod markdown;

mod map;

mod act;
mod assets;
mod attached;
mod chart;
mod chat;
mod composer;
mod curve;
mod entries;
mod frame;
mod graph;
mod page;
mod pages;
mod rooms;
mod rules;
mod say;
pub(crate) mod sign_in;
mod ways;
mod words;

pub(crate) use pages::routes;
