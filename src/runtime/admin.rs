//! The process as seen from outside: `/healthz`, `/readyz`, `/metrics`, and `/debug/state` if asked for.

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
    debug: bool,
}

impl Admin {
    /// Shows these metrics and this readiness; with `debug` also what the planner thinks of an object, which is for
    /// nobody but who is on this machine.
    pub fn new(registry: Registry, readiness: Arc<Readiness>, debug: bool) -> Arc<Self> {
        Arc::new(Self {
            registry,
            readiness,
            pulse: Mutex::new(Instant::now()),
            debug,
        })
    }

    /// The routes.
    pub fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics));
        if self.debug {
            router = router.route("/debug/state", get(state));
        }
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
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = self.router();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the admin endpoint ended");
            }
        });
        let admin = Arc::clone(self);
        let pulse = tokio::spawn(async move {
            let mut second = interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                *lock(&admin.pulse) = Instant::now();
            }
        });
        Ok((
            address,
            [AbortOnDropHandle::new(server), AbortOnDropHandle::new(pulse)],
        ))
    }
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

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let missing = admin.readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
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
    const USAGE: &str = "/debug/state?kind=Server|ServerGroup&namespace=..&name=..\n";
    let pairs = uri.query().unwrap_or_default().split('&');
    let pairs: Vec<(&str, &str)> = pairs.filter_map(|p| p.split_once('=')).collect();
    let given = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
    let key = match (given("kind"), given("namespace"), given("name")) {
        (Some("Server"), Some(namespace), Some(name)) => ObjectKey::new(namespace, name),
        (Some("ServerGroup"), Some(namespace), Some(name)) => ObjectKey::of_group(namespace, name),
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
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = admin.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_planner_thinks_is_shown_only_if_asked_for() {
        let ask = async |debug, path| {
            let admin = Admin::new(Registry::default(), Arc::default(), debug);
            ask(&admin, path).await.0.as_u16()
        };
        let object = "/debug/state?kind=Server&namespace=a&name=b";
        assert_eq!(ask(false, object).await, 404);
        // There is no such object, or nothing was asked for.
        assert_eq!(ask(true, object).await, 404);
        for incomplete in [
            "/debug/state",
            "/debug/state?kind=Server&namespace=a",
            "/debug/state?kind=Secret&namespace=a&name=b",
        ] {
            assert_eq!(ask(true, incomplete).await, 400, "{incomplete}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_is_missing_and_counts() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let admin = Admin::new(registry, Arc::new(Readiness::default()), false);
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
