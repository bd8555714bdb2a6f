//! Long outputs in the object store, each for the conversation that it belongs to.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_protocol::{Clock, Label};
use instar_store::{KeptOutput, Op, Store, StoreError};
use instar_tools::{Caller, OutputsPort, ToolError};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct KeptOutputs {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl KeptOutputs {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    async fn put(
        &self,
        caller: &Caller,
        text: String,
        label: &Label,
    ) -> Result<String, StoreError> {
        let object = self.store.put_object(text.into_bytes()).await?;
        let handle = format!("out_{}", hex::encode(crate::random::ten()));
        let row = KeptOutput {
            handle: handle.clone(),
            session: caller.session.clone(),
            object,
            label: label.clone(),
            at: self.clock.now(),
        };
        self.store.commit(vec![Op::PutOutput(row)]).await?;
        Ok(handle)
    }
}

impl OutputsPort for KeptOutputs {
    fn keep<'a>(
        &'a self,
        caller: &'a Caller,
        text: String,
        label: &'a Label,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        async move {
            self.put(caller, text, label).await.map_err(|error| {
                tracing::warn!(
                    error = crate::problem::chain(&error),
                    "an output was not kept"
                );
                ToolError::Failed("the output could not be kept".to_owned())
            })
        }
        .boxed()
    }

    fn kept<'a>(
        &'a self,
        caller: &'a Caller,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<(String, Label), ToolError>> {
        async move {
            let gone = || {
                ToolError::Failed(
                    "there is no output with that handle in this conversation; call the tool again"
                        .to_owned(),
                )
            };
            let row = self.store.kept_output(&caller.session, handle).await;
            let row = row.map_err(|_| gone())?.ok_or_else(gone)?;
            let bytes = self.store.object(&row.object).await.map_err(|_| gone())?;
            let text = String::from_utf8(bytes).map_err(|_| gone())?;
            Ok((text, row.label))
        }
        .boxed()
    }
}
