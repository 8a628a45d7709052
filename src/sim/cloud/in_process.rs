//! The simulator as a transport: no port, no bytes on a wire, and time may be paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};

use super::{Sim, SimCloud, SimIo};
use crate::providers::transport::reply::{self, Body};
use crate::providers::transport::{Connect, Stage, Transport, TransportError};

impl<C: SimCloud> Transport for Sim<C> {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let half = self.world().latency() / 2;
        let error = |stage, message: &str| TransportError {
            stage,
            message: message.into(),
        };
        let method = request.method().clone();
        async move {
            let answer = async {
                tokio::time::sleep(half).await;
                let answer = self.handle(request).await;
                tokio::time::sleep(half).await;
                answer
            };
            match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(response)) => bounded(&method, response).map_err(|words| error(Stage::Reply, &words)),
                Ok(Err(SimIo::Refused)) => Err(error(Stage::Connect, "connection refused")),
                Ok(Err(SimIo::Reset)) => Err(error(Stage::Sent, "connection reset by peer")),
                Err(_) => Err(error(Stage::Timeout, "no reply within the deadline")),
            }
        }
        .boxed()
    }
}

/// The reply as far as production would read it.
fn bounded(method: &Method, response: Response<Bytes>) -> Result<Response<Bytes>, String> {
    let (parts, whole) = response.into_parts();
    let mut body = Body::new(method, parts.status, reply::READ, &reply::share());
    body.take(&whole)?;
    Ok(Response::from_parts(parts, body.finish()?))
}

/// Hands out lines to one simulator, whatever certificate authorities are given.
#[derive(Debug)]
pub struct Lines<C>(pub Arc<Sim<C>>);

impl<C: SimCloud> Connect for Lines<C> {
    fn connect(&self, _ca_pem: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(self.0.clone())
    }
}
