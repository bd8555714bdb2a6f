//! What other crates ask of the house, supplied from the store.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_models::ObjectSource;
use instar_protocol::ObjectHash;
use instar_store::Store;

/// The store's objects, for models that are shown images.
#[derive(Debug)]
pub(crate) struct Objects(pub(crate) Store);

impl ObjectSource for Objects {
    fn object<'a>(&'a self, hash: &'a ObjectHash) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        async move {
            let found = self.0.object(hash).await;
            found.map_err(|error| crate::problem::chain(&error))
        }
        .boxed()
    }
}
