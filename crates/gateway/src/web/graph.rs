//! A graph whose edges all lead away from one node, drawn in columns: what a thing comes from stands to its
//! right. Drawn here; the tree beside it says the same.

use maud::{Markup, html};
use std::collections::BTreeMap;

const COLUMN: usize = 214;
const BOX: usize = 190;
const ROW: usize = 58;
const HEIGHT: usize = 44;
const MARGIN: usize = 8;
/// Nodes that are drawn; the tree names all.
const NODES_MAX: usize = 120;
const NAME_CHARS: usize = 27;

/// One node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) name: String,
    /// A second line, and what a pointer is told.
    pub(super) says: String,
    /// How it is drawn.
    pub(super) class: String,
    pub(super) link: Option<String>,
}

/// What came from what, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edge {
    pub(super) of: String,
    pub(super) from: String,
    pub(super) how: String,
}

/// Draws the graph of the first node.
pub(super) fn graph(title: &str, nodes: &[Node], edges: &[Edge]) -> Markup {
    let nodes = nodes.get(..NODES_MAX).unwrap_or(nodes);
    let places = places(nodes, edges);
    let width = places.values().map(|(x, _)| x + BOX).max().unwrap_or(BOX) + MARGIN;
    let height = places
        .values()
        .map(|(_, y)| y + HEIGHT)
        .max()
        .unwrap_or(HEIGHT)
        + MARGIN;
    html! {
        figure class="chart graph" {
            figcaption { (title) }
            div class="wide" tabindex="0" {
                svg viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="group" aria-label=(title) {
                    @for edge in edges {
                        @if let (Some(of), Some(from)) = (places.get(edge.of.as_str()), places.get(edge.from.as_str())) {
                            path class="edge" d=(line(*of, *from)) { title { (edge.how) } }
                        }
                    }
                    @for node in nodes {
                        @if let Some((x, y)) = places.get(node.id.as_str()) {
                            @if let Some(link) = &node.link { a href=(link) { (drawn(node, *x, *y)) } }
                            @else { (drawn(node, *x, *y)) }
                        }
                    }
                }
            }
        }
    }
}

fn drawn(node: &Node, x: usize, y: usize) -> Markup {
    html! {
        g class={ "node " (node.class) } {
            title { (node.name) " " (node.says) }
            rect x=(x) y=(y) width=(BOX) height=(HEIGHT) rx="7" {}
            text class="left" x=(x + 9) y=(y + 18) { (cut(&node.name)) }
            text class="left soft" x=(x + 9) y=(y + 34) { (cut(&node.says)) }
        }
    }
}

/// Columns by the longest way from the first node, rows in the order in which they come.
fn places<'a>(nodes: &'a [Node], edges: &'a [Edge]) -> BTreeMap<&'a str, (usize, usize)> {
    let mut columns: BTreeMap<&str, usize> = BTreeMap::new();
    if let Some(first) = nodes.first() {
        columns.insert(&first.id, 0);
    }
    // A way longer than there are nodes would be a circle.
    for _ in 0..nodes.len() {
        let mut moved = false;
        for edge in edges {
            let Some(column) = columns.get(edge.of.as_str()).map(|column| column + 1) else {
                continue;
            };
            let is_further = columns
                .get(edge.from.as_str())
                .is_none_or(|there| *there < column);
            if is_further && column < nodes.len() {
                columns.insert(&edge.from, column);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for node in nodes {
        if let Some(column) = columns.get(node.id.as_str()) {
            let row = rows.entry(*column).or_default();
            places.insert(
                node.id.as_str(),
                (MARGIN + column * COLUMN, MARGIN + *row * ROW),
            );
            *row += 1;
        }
    }
    places
}

/// From the right side of one to the left side of the other.
fn line((x, y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (x, y, to_y) = (x + BOX, y + HEIGHT / 2, to_y + HEIGHT / 2);
    let middle = usize::midpoint(x, to_x);
    format!("M{x} {y} C{middle} {y} {middle} {to_y} {to_x} {to_y}")
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(NAME_CHARS).collect();
    if text.chars().count() > NAME_CHARS {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> Node {
        Node {
            id: id.to_owned(),
            name: format!("<{id}>"),
            says: String::new(),
            class: "release".to_owned(),
            link: None,
        }
    }

    fn edge(of: &str, from: &str) -> Edge {
        Edge {
            of: of.to_owned(),
            from: from.to_owned(),
            how: "how".to_owned(),
        }
    }

    #[test]
    fn what_a_thing_comes_from_stands_to_its_right_and_a_circle_ends() {
        let nodes = [node("a"), node("b"), node("c"), node("alone")];
        let edges = [
            edge("a", "b"),
            edge("b", "c"),
            edge("a", "c"),
            edge("c", "a"),
        ];
        let all = places(&nodes, &edges[..3]);
        assert!(all["a"].0 < all["b"].0 && all["b"].0 < all["c"].0);
        assert!(!all.contains_key("alone"));
        assert!(places(&nodes, &edges).len() == 3);
        let drawn = graph("t", &nodes, &edges[..3]).into_string();
        assert_eq!(
            (
                drawn.matches("<path").count(),
                drawn.matches("<rect").count()
            ),
            (3, 3)
        );
        assert!(drawn.contains("&lt;a&gt;"));
    }
}
