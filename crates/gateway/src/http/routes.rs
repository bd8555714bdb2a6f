//! The one table of routes: it builds the router, and says which paths there are.

use axum::Router;
use axum::routing::MethodRouter;

use crate::app::AppState;

/// Paths with their handlers. Whatever the router serves went through here, so that what walks the
/// table misses nothing.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    paths: Vec<String>,
    router: Router<AppState>,
}

impl Routes {
    pub(crate) fn route(mut self, path: &str, methods: MethodRouter<AppState>) -> Self {
        self.paths.push(path.to_owned());
        self.router = self.router.route(path, methods);
        self
    }

    /// Puts routes under a prefix.
    pub(crate) fn nest(prefix: &str, inner: Self) -> Self {
        let paths = inner.paths.iter().map(|path| format!("{prefix}{path}"));
        Self {
            paths: paths.collect(),
            router: Router::new().nest(prefix, inner.router),
        }
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.paths.extend(other.paths);
        self.router = self.router.merge(other.router);
        self
    }

    pub(crate) fn into_router(self) -> Router<AppState> {
        self.router
    }

    pub(super) fn into_paths(self) -> Vec<String> {
        self.paths
    }
}
