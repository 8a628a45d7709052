use super::*;
use crate::providers::transport::budget::Limits;
use futures::future::BoxFuture;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Answer = Result<http::Response<Bytes>, TransportError>;

struct Script<F>(F, AtomicUsize);

impl<F: Fn(usize) -> Answer + Send + Sync> Transport for Script<F> {
    fn send(&self, _: http::Request<Bytes>, _: Duration) -> BoxFuture<'_, Answer> {
        let n = self.1.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { (self.0)(n) })
    }
}

struct Hang;

impl Transport for Hang {
    fn send(&self, _: http::Request<Bytes>, _: Duration) -> BoxFuture<'_, Answer> {
        Box::pin(std::future::pending())
    }
}

#[derive(Default)]
struct Count(Mutex<Vec<(&'static str, Outcome)>>);

impl Recorder for Count {
    fn request(&self, _: &Method, route: &'static str, outcome: Outcome, _: Duration) {
        self.0.lock().unwrap().push((route, outcome));
    }
}

const WIDE: Limits = Limits {
    per_second: 100,
    burst: 100,
    in_flight: 100,
};

fn client(transport: impl Transport + 'static) -> HttpClient {
    HttpClient::new(Arc::new(transport), Budget::new(WIDE), EndpointRules::default())
}

fn script(f: impl Fn(usize) -> Answer + Send + Sync + 'static) -> impl Transport {
    Script(f, AtomicUsize::new(0))
}

fn reply(status: u16, headers: &[(&str, &str)]) -> Answer {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    Ok(builder.body(Bytes::new()).unwrap())
}

fn lost(stage: Stage) -> Answer {
    Err(TransportError {
        stage,
        message: "gone".into(),
    })
}

fn ask(method: Method) -> Ask {
    Ask::new(method, "https://cloud.example/x", "/x", Priority::High)
}

#[tokio::test(start_paused = true)]
async fn only_a_get_that_never_left_is_tried_again() {
    let c = client(script(|n| {
        if n == 0 {
            lost(Stage::Connect)
        } else {
            reply(200, &[])
        }
    }));
    assert_eq!(c.send(&ask(Method::GET)).await.unwrap().status, 200);
    for (method, stage) in [
        (Method::POST, Stage::Connect),
        (Method::GET, Stage::Sent),
        (Method::DELETE, Stage::Timeout),
    ] {
        let c = client(script(
            move |n| if n == 0 { lost(stage) } else { reply(200, &[]) },
        ));
        let error = c.send(&ask(method.clone())).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert_eq!(error.maybe_applied, method == Method::DELETE, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_cloud_meets_the_deadline_and_is_counted() {
    let count = Arc::new(Count::default());
    let c = client(Hang)
        .with_deadline(Duration::from_secs(3))
        .with_recorder(count.clone());
    let start = Instant::now();
    let error = c.send(&ask(Method::POST)).await.unwrap_err();
    assert!(error.maybe_applied);
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(*count.0.lock().unwrap(), [("/x", Outcome::Lost(Stage::Timeout))]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_cloud_asks_for_is_kept_by_everybody() {
    for (status, headers, seconds) in [
        (429, vec![("retry-after", "9")], 9),
        (429, vec![], 1),
        (503, vec![("retry-after", "4")], 4),
        (503, vec![], 0),
        (
            429,
            vec![
                ("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT"),
                ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
            ],
            30,
        ),
    ] {
        let c = client(script(move |n| {
            if n == 0 {
                reply(status, &headers)
            } else {
                reply(200, &[])
            }
        }));
        let start = Instant::now();
        assert_eq!(c.send(&ask(Method::GET)).await.unwrap().status, status);
        c.clone().send(&ask(Method::POST)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), seconds, "{status}");
    }
}

/// A cloud that slips must not stop an account for years.
#[tokio::test(start_paused = true)]
async fn no_cloud_is_left_alone_for_ever() {
    for (headers, seconds) in [
        (vec![("retry-after", "120")], Some(120)),
        (vec![("retry-after", "4000000000")], Some(3600)),
        (vec![("retry-after", "99999999999999999999")], None),
        (vec![("retry-after", "-1")], None),
        (
            vec![
                ("retry-after", "Tue, 22 Nov 2050 10:00:30 GMT"),
                ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
            ],
            Some(3600),
        ),
    ] {
        let c = client(script({
            let headers = headers.clone();
            move |_| reply(500, &headers)
        }));
        let told = c.send(&ask(Method::GET)).await.unwrap().retry_after;
        assert_eq!(told, seconds, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_not_sent() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let c = client(script(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        reply(202, &[])
    }));
    let late = Ask {
        send_before: Some(Instant::now() + Duration::from_secs(5)),
        ..ask(Method::POST)
    };
    c.budget.pause(Duration::from_secs(6));
    let error = c.send(&late).await.unwrap_err();
    assert_eq!(
        (error.class, error.maybe_applied),
        (ErrorClass::RateLimited, false)
    );
    tokio::time::advance(Duration::from_secs(60)).await;
    let error = c.send(&late).await.unwrap_err();
    assert!(!error.maybe_applied);
    assert_eq!(sent.load(Ordering::SeqCst), 0);
    c.send(&ask(Method::POST)).await.unwrap();
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_endpoint_rules_hold_for_every_request() {
    let c = client(script(|_| reply(200, &[])));
    let ask = Ask::new(Method::GET, "https://169.254.169.254/", "/", Priority::High);
    assert_eq!(c.send(&ask).await.unwrap_err().class, ErrorClass::InvalidSpec);
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_account_share_its_budget_and_log_in_out_of_their_own() {
    let limits = Limits {
        per_second: 1,
        burst: 1,
        in_flight: 1,
    };
    let budgets = Arc::new(Budgets::default());
    let two = [(); 2].map(|()| {
        HttpClient::new(
            Arc::new(script(|_| reply(200, &[]))),
            Budget::new(limits),
            EndpointRules::default(),
        )
        .with_budgets(budgets.clone(), limits)
    });
    let start = Instant::now();
    for client in &two {
        client.alone().send(&ask(Method::POST)).await.unwrap();
        client.join("account");
    }
    assert_eq!(start.elapsed().as_secs(), 0, "logging in");
    for client in &two {
        client.send(&ask(Method::GET)).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 1, "afterwards");
}
