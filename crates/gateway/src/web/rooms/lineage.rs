//! Where a release comes from, as a graph and as a tree.

use axum::extract::{Path, State};
use instar_release::lineage::{Kind, Lineage, Node as Ancestor};
use maud::{Markup, html};

use crate::app::AppState;
use crate::door::Caller;
use crate::policing::word;
use crate::signing;
use crate::web::frame::{Frame, Tab, beginning, short};
use crate::web::graph::{Edge, Node, graph};
use crate::web::pages::Refused;
use crate::web::words::Reader;

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Path(name): Path<String>,
) -> Result<Markup, Refused> {
    let lineage = signing::lineage_of(&app, &name).await?;
    let title = match lineage.nodes.first() {
        Some(release) => format!("{} {}", words.lineage, beginning(named(release))),
        None => words.lineage.to_owned(),
    };
    let nodes: Vec<Node> = lineage.nodes.iter().map(node).collect();
    let edges: Vec<Edge> = lineage
        .edges
        .iter()
        .map(|edge| Edge {
            of: edge.of.clone(),
            from: edge.from.clone(),
            how: edge.how.clone(),
        })
        .collect();
    let body = html! {
        p class="soft lead" { (words.lineage_about) }
        (graph(words.lineage, &nodes, &edges))
        (tree(&lineage))
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(&title)
        .around(&body))
}

fn named(node: &Ancestor) -> &str {
    node.digest.as_deref().unwrap_or(&node.name)
}

fn node(one: &Ancestor) -> Node {
    let digest = one.digest.as_deref();
    let link = match one.kind {
        Kind::Release => digest.map(|digest| format!("/releases/{digest}")),
        Kind::Candidate => digest.map(|digest| format!("/candidates/{digest}")),
        Kind::Material if one.name.starts_with("report ") => {
            digest.map(|digest| format!("/reports/{digest}"))
        }
        _ => None,
    };
    let says = match (one.says.is_empty(), digest) {
        (true, Some(digest)) => beginning(digest).to_owned(),
        _ => one.says.clone(),
    };
    Node {
        id: one.id.clone(),
        name: one.name.clone(),
        says,
        class: word(&one.kind),
        link,
    }
}

fn tree(lineage: &Lineage) -> Markup {
    html! {
        ol class="line tree" {
            @for (depth, node, how) in lineage.lines() {
                li class={ "depth-" (depth.min(8)) } {
                    @if !how.is_empty() { span class="soft" { (how) " " } }
                    strong { (node.name) } " " (node.says)
                    @if let Some(digest) = &node.digest { " " (short(digest)) }
                }
            }
        }
    }
}
