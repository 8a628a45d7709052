//! A simulated cloud on a port, with a note of when each request came.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::ListenerExt;
use evenkeel::sim::openstack::{OpenStackSim, SimConfig, Timings};
use tokio::net::TcpListener;

/// One request to the cloud.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: Instant,
    pub method: http::Method,
    pub path: String,
}

impl Arrival {
    /// Whether it asks for a change of a server.
    pub fn changes(&self) -> bool {
        self.method != http::Method::GET && self.path.contains("/servers")
    }

    /// Whether it is a page of the list of servers.
    pub fn lists(&self) -> bool {
        self.method == http::Method::GET && self.path.contains("/servers/detail")
    }
}

/// The cloud. Clones share everything.
#[derive(Clone)]
pub struct Cloud {
    pub sim: Arc<OpenStackSim>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Cloud {
    /// A cloud whose calls of the hypervisor take so many milliseconds.
    pub fn new(call_ms: u64) -> Self {
        let ms = std::time::Duration::from_millis;
        let timings = Timings {
            call: ms(call_ms),
            hop: ms(call_ms / 4),
            network: ms(call_ms / 2),
            latency: ms(0),
            ..Timings::default()
        };
        let config = SimConfig {
            timings,
            hosts: 10,
            host_cores: 1 << 40,
            host_memory: 1 << 50,
            ..SimConfig::default()
        };
        Self {
            sim: OpenStackSim::new(config),
            arrivals: Arc::default(),
        }
    }

    /// Answers until the future is dropped.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let app = axum::Router::new().fallback(answer).with_state(self);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app).await
    }

    /// Every request since the last [`Cloud::forget`].
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.noted().clone()
    }

    /// How many requests there were that are so.
    pub fn count(&self, is: impl Fn(&Arrival) -> bool) -> usize {
        self.noted().iter().filter(|a| is(a)).count()
    }

    /// The first request that is so, if it came.
    pub fn first(&self, is: impl Fn(&Arrival) -> bool) -> Option<Arrival> {
        self.noted().iter().find(|a| is(a)).cloned()
    }

    pub fn forget(&self) {
        self.noted().clear();
        self.sim.reset_requests();
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(cloud): State<Cloud>, request: Request) -> Result<Response, Infallible> {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 4 << 20).await.unwrap_or_default();
    cloud.noted().push(Arrival {
        at,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
    });
    Ok(match cloud.sim.handle(Request::from_parts(parts, body)).await {
        Ok(response) => response.map(Body::from),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            response
        }
    })
}
