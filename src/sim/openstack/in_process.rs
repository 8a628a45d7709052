//! The simulator as a transport: no port, no bytes on a wire, and time may be paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};

use super::{OpenStackSim, SimIo};
use crate::providers::transport::{Connect, Stage, Transport, TransportError};

/// A line to a simulator in the same process.
#[derive(Clone, Debug)]
pub struct Line(Arc<OpenStackSim>);

impl Transport for Line {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.send(request, deadline)
    }
}

impl Transport for OpenStackSim {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let half = self.world().config.timings.latency / 2;
        let error = |stage, message: &str| TransportError {
            stage,
            message: message.into(),
        };
        async move {
            let answer = async {
                tokio::time::sleep(half).await;
                let answer = self.handle(request).await;
                tokio::time::sleep(half).await;
                answer
            };
            match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(SimIo::Refused)) => Err(error(Stage::Connect, "connection refused")),
                Ok(Err(SimIo::Reset)) => Err(error(Stage::Sent, "connection reset by peer")),
                Err(_) => Err(error(Stage::Timeout, "no reply within the deadline")),
            }
        }
        .boxed()
    }
}

/// Hands out lines to one simulator, whatever certificate authorities are given.
#[derive(Clone, Debug)]
pub struct Lines(pub Arc<OpenStackSim>);

impl Connect for Lines {
    fn connect(&self, _ca_pem: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(Line(self.0.clone())))
    }
}
