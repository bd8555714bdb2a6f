//! `instar dashboard`: a fresh sign-in link to the gateway that runs.

use instar_protocol::api::SignInCode;

use super::up::open;
use crate::context::Context;
use crate::out::Style;

pub(crate) async fn run(no_open: bool, run: &Context) -> anyhow::Result<()> {
    let client = run.client()?;
    let code: SignInCode = client
        .post("/api/v1/sign-in-codes", &serde_json::json!({}))
        .await?;
    if run.out.json() {
        run.out.value(&code)?;
    } else {
        run.out.line(&code.url);
        let words = "the link works once, within a minute";
        run.out.note(&run.out.paint(Style::Faint, words));
    }
    if !no_open && !run.out.json() {
        open(&code.url);
    }
    Ok(())
}
