//! The process as seen from outside: `/healthz`, `/readyz`, `/metrics`; and `/debug/state` on an address of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::controller::Readiness;
use crate::observer::ObjectKey;
use crate::observer::sync::lock;

/// A pulse older than this means that the process hangs.
const PULSE_LOST: Duration = Duration::from_secs(30);
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is shown.
pub struct Admin {
    registry: Registry,
    readiness: Arc<Readiness>,
    pulse: Mutex<Instant>,
}

impl Admin {
    /// Shows these metrics and this readiness.
    pub fn new(registry: Registry, readiness: Arc<Readiness>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            readiness,
            pulse: Mutex::new(Instant::now()),
        })
    }

    /// What everybody may ask.
    pub fn router(self: &Arc<Self>) -> Router {
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics));
        router.with_state(Arc::clone(self))
    }

    /// What the planner thinks of an object, which is for nobody but who is on this machine.
    pub fn debug_router(self: &Arc<Self>) -> Router {
        let router = Router::new().route("/debug/state", get(state));
        router.with_state(Arc::clone(self))
    }

    /// Serves them until the handles are dropped; the address that is listened on.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn serve(
        self: &Arc<Self>,
        address: SocketAddr,
    ) -> std::io::Result<(SocketAddr, [AbortOnDropHandle<()>; 2])> {
        let (address, server) = listen(address, self.router()).await?;
        let admin = Arc::clone(self);
        let pulse = tokio::spawn(async move {
            let mut second = interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                *lock(&admin.pulse) = Instant::now();
            }
        });
        Ok((address, [server, AbortOnDropHandle::new(pulse)]))
    }
}

/// Serves these routes until the handle is dropped; the address that is listened on.
///
/// # Errors
/// The address cannot be listened on.
pub async fn listen(
    address: SocketAddr,
    router: Router,
) -> std::io::Result<(SocketAddr, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, %address, "an endpoint ended");
        }
    });
    Ok((address, AbortOnDropHandle::new(server)))
}

async fn healthz(State(admin): State<Arc<Admin>>) -> Response {
    let silent = lock(&admin.pulse).elapsed();
    if silent > PULSE_LOST {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no pulse for {} s\n", silent.as_secs()),
        )
            .into_response();
    }
    "ok\n".into_response()
}

/// Ready is who has seen everything once; with `?verbose` also what does not work since then, which takes no traffic away.
async fn readyz(State(admin): State<Arc<Admin>>, uri: Uri) -> Response {
    let missing = admin.readiness.missing();
    if missing.is_empty() {
        let verbose = uri.query().is_some_and(|q| q.split('&').any(|p| p == "verbose"));
        let troubled = if verbose {
            admin.readiness.troubled()
        } else {
            vec![]
        };
        let lines = std::iter::once("ok".to_owned()).chain(troubled);
        return lines.map(|line| line + "\n").collect::<String>().into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n").into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn state(State(admin): State<Arc<Admin>>, uri: Uri) -> Response {
    const USAGE: &str = "/debug/state?kind=Server|ServerGroup|ServerAction&namespace=..&name=..\n";
    let pairs = uri.query().unwrap_or_default().split('&');
    let pairs: Vec<(&str, &str)> = pairs.filter_map(|p| p.split_once('=')).collect();
    let given = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
    let key = match (given("kind"), given("namespace"), given("name")) {
        (Some("Server"), Some(namespace), Some(name)) => ObjectKey::new(namespace, name),
        (Some("ServerGroup"), Some(namespace), Some(name)) => ObjectKey::of_group(namespace, name),
        (Some("ServerAction"), Some(namespace), Some(name)) => ObjectKey::of_action(namespace, name),
        _ => return (StatusCode::BAD_REQUEST, USAGE).into_response(),
    };
    match admin.readiness.explain(&key) {
        Some(said) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, format!("{said:#}\n")).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such object\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::metrics::Metrics;
    use crate::observer::metrics::labels::KindEnded;
    use tower::ServiceExt;

    async fn ask(admin: &Arc<Admin>, path: &str) -> (StatusCode, String) {
        of(admin.router(), path).await
    }

    async fn of(router: Router, path: &str) -> (StatusCode, String) {
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_planner_thinks_is_shown_only_if_asked_for() {
        let admin = Admin::new(Registry::default(), Arc::default());
        let debug = async |path| of(admin.debug_router(), path).await;
        let object = "/debug/state?kind=Server&namespace=a&name=b";
        assert_eq!(ask(&admin, object).await, (StatusCode::NOT_FOUND, String::new()));
        let (status, words) = debug(object).await;
        assert_eq!(
            (status.as_u16(), words.as_str()),
            (404, "there is no such object\n")
        );
        for incomplete in [
            "/debug/state",
            "/debug/state?kind=Server&namespace=a",
            "/debug/state?kind=Secret&namespace=a&name=b",
        ] {
            assert_eq!(debug(incomplete).await.0.as_u16(), 400, "{incomplete}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_later_is_shown_to_who_asks_and_takes_no_readiness_away() {
        let readiness = Arc::new(Readiness::default());
        readiness.ask(Vec::new);
        readiness.troubled_by(|| vec!["servers in all namespaces: broken".to_owned()]);
        let admin = Admin::new(Registry::default(), readiness);
        for (path, words) in [
            ("/readyz", "ok\n"),
            ("/readyz?verbose", "ok\nservers in all namespaces: broken\n"),
            ("/readyz?verbosely=1", "ok\n"),
        ] {
            assert_eq!(
                ask(&admin, path).await,
                (StatusCode::OK, words.to_owned()),
                "{path}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_is_missing_and_counts() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let admin = Admin::new(registry, Arc::new(Readiness::default()));
        let (status, words) = ask(&admin, "/readyz").await;
        assert_eq!(
            (status.as_u16(), words.as_str()),
            (503, "the controller has not started yet\n")
        );
        metrics
            .reconcile
            .get_or_create(&KindEnded {
                kind: "Server",
                result: "rest",
            })
            .inc();
        metrics.leader.set(1);
        let (_, text) = ask(&admin, "/metrics").await;
        assert!(
            text.contains("evenkeel_reconcile_total{kind=\"Server\",result=\"rest\"} 1"),
            "{text}"
        );
        assert!(text.contains("\nevenkeel_leader 1\n"), "{text}");
        for kind in ["Server", "ServerGroup"] {
            let first = format!("evenkeel_reconcile_total{{kind=\"{kind}\",result=\"panic\"}} 0");
            assert!(
                text.contains(&first),
                "a first panic has to be an increase: {text}"
            );
        }
        assert_eq!(ask(&admin, "/healthz").await.0, StatusCode::OK);
        tokio::time::advance(PULSE_LOST + Duration::from_secs(1)).await;
        assert_eq!(ask(&admin, "/healthz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
