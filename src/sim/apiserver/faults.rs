//! What may go wrong between a client and the server, and the record of what was written.

use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object.
    Get,
    /// Many.
    List,
    /// The changes of many.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH of any kind.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// Whether it may change something.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// What becomes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing unusual.
    #[default]
    Pass,
    /// 409, as if somebody else had written meanwhile. Nothing is applied.
    Conflict,
    /// A refusal with this HTTP code. Nothing is applied.
    Status(u16),
    /// The request is carried out, the connection breaks before the reply.
    LostReply,
    /// The request is carried out this much later, even if its sender is gone by then.
    Hang(Duration),
    /// The connection breaks; nothing is applied.
    Drop,
    /// No reply ever; nothing is applied.
    Blackhole,
    /// A watch opens, and breaks in place of its first event.
    WatchBreak,
    /// 410: the history is gone. A watch says so in its stream.
    Gone,
}

/// Which requests meet a fault. Everything that is not said matches.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    client: Option<String>,
    verb: Option<Verb>,
    plural: Option<String>,
    name: Option<String>,
    status: Option<bool>,
    skip: u32,
    times: u32,
}

impl Rule {
    /// Meets the first request that matches, once.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            client: None,
            verb: None,
            plural: None,
            name: None,
            status: None,
            skip: 0,
            times: 1,
        }
    }

    /// Only this client.
    pub fn client(mut self, client: &str) -> Self {
        self.client = Some(client.to_owned());
        self
    }

    /// Only this verb.
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only this resource, by plural name; main resource and status.
    pub fn on(mut self, plural: &str) -> Self {
        self.plural = Some(plural.to_owned());
        self
    }

    /// Only objects of this name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only `/status`.
    pub fn status(mut self) -> Self {
        self.status = Some(true);
        self
    }

    /// Only the main resource, not `/status`.
    pub fn main(mut self) -> Self {
        self.status = Some(false);
        self
    }

    /// From the nth matching request on; the first is 1.
    pub fn nth(mut self, n: u32) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// This many requests in a row.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Every matching request from now on.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn matches(&self, call: &Call) -> bool {
        self.client.as_ref().is_none_or(|c| *c == call.client)
            && self.verb.is_none_or(|v| v == call.verb)
            && self.plural.as_ref().is_none_or(|p| *p == call.plural)
            && self.name.as_ref().is_none_or(|n| *n == call.name)
            && self
                .status
                .is_none_or(|s| s == (call.subresource.as_deref() == Some("status")))
    }
}

/// One request, as rules and hooks see it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which client sent it.
    pub client: String,
    /// What it asks for.
    pub verb: Verb,
    /// The resource's plural name.
    pub plural: &'static str,
    /// `status`, or none.
    pub subresource: Option<String>,
    /// The namespace; empty for all or none.
    pub namespace: String,
    /// The object's name; empty for lists, and for a create that lets the server choose.
    pub name: String,
}

/// The faults that are ordered.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    rules: Vec<Rule>,
}

impl FaultPlan {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The first rule that matches and is due decides; all that match count the request.
    pub(super) fn next(&mut self, call: &Call) -> Fault {
        let mut fault = Fault::Pass;
        for rule in self.rules.iter_mut().filter(|r| r.matches(call)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if fault == Fault::Pass && rule.times > 0 {
                rule.times = rule.times.saturating_sub(u32::from(rule.times != u32::MAX));
                fault = rule.fault.clone();
            }
        }
        self.rules.retain(|r| r.times > 0);
        fault
    }
}

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The request has arrived, nothing is applied yet.
    Before,
    /// It is applied (or refused), the reply is not sent yet.
    After,
}

/// A write that is happening: what a hook is told.
#[derive(Clone, Debug)]
pub struct WriteEvent {
    /// The number of this write among all of its client, from 1.
    pub n: u64,
    /// Before or after it is applied.
    pub phase: Phase,
    /// The request.
    pub call: Call,
    /// What was sent.
    pub body: Arc<Value>,
}

/// Called at every write, twice. It may end the client's task: what it then returns still decides whether the
/// request that is on the wire is carried out (`Pass`) or not (`Drop`).
pub type Hook = Arc<dyn Fn(&WriteEvent) -> Fault + Send + Sync>;

/// One write request, finished.
#[derive(Clone, Debug)]
pub struct WriteRecord {
    /// The number of this write among all of its client, from 1.
    pub n: u64,
    /// When it was carried out or refused, in virtual time.
    pub at: Timestamp,
    /// The request; the name that the server chose, if it did.
    pub call: Call,
    /// The HTTP code; 0 where the connection broke before anything was done.
    pub code: u16,
    /// Whether the object changed.
    pub changed: bool,
    /// Whether the sender got the reply.
    pub replied: bool,
    /// The object afterwards, if the write was taken.
    pub object: Option<Arc<Value>>,
}
