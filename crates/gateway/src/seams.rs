//! What other crates ask of the house, supplied from the store.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_egress::{Egress, EgressConfig};
use instar_models::ObjectSource;
use instar_protocol::{ObjectHash, SecretSource};
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

/// The way out, as the configuration says.
pub(crate) fn egress(config: &EgressConfig, secrets: &dyn SecretSource) -> Result<Egress, String> {
    let egress = Egress::new(&instar_egress::user_agent());
    configure(&egress, config, secrets)?;
    Ok(egress)
}

/// Puts a changed section in force; with an error nothing changes.
pub(crate) fn configure(
    egress: &Egress,
    config: &EgressConfig,
    secrets: &dyn SecretSource,
) -> Result<(), String> {
    let password = config.proxy_password.as_ref();
    let password = password.map(|reference| secrets.secret(reference));
    egress.configure(config, password.transpose()?)
}
