//! The API server on a port, for a controller that is a process of its own.

use std::convert::Infallible;
use std::io;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tower::Service;

use super::ApiServer;
use super::service::Connection;

/// The largest request body, in bytes.
const MOST: usize = 4 << 20;

impl ApiServer {
    /// Answers on a listener until the future is dropped. Whoever asks there is the client of this name. A fault that
    /// breaks a connection becomes a reply whose body breaks.
    pub async fn serve(self, client: &str, listener: TcpListener) -> io::Result<()> {
        let connection = Connection::new(self, client);
        let app = axum::Router::new().fallback(answer).with_state(connection);
        let listener = listener.tap_io(|stream| {
            // An event is a small packet that somebody waits for.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app).await
    }
}

async fn answer(State(mut connection): State<Connection>, request: Request) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let answer = match axum::body::to_bytes(body, MOST).await {
        Ok(body) => connection.call(Request::from_parts(parts, body.into())).await,
        Err(error) => Err(io::Error::other(error)),
    };
    Ok(match answer {
        Ok(response) => response.map(Body::new),
        Err(error) => Response::new(Body::from_stream(futures::stream::iter([
            Err::<bytes::Bytes, _>(error),
        ]))),
    })
}
