//! The world at one moment: the object in the API server, two controllers, what is on the wire, the cloud, and what may
//! still go wrong.

use evenkeel::api::server_status::OperationKind;
use evenkeel::planner::model::ServerState;

/// A state of the model. Objects, memories and lists are numbers into [`crate::mind::Mind`]'s tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The object in the API server; none if there is none.
    pub(crate) object: Option<u32>,
    /// Two controllers, without a lease: both act all the time.
    pub(crate) processes: [Process; 2],
    /// Calls that were sent and have not arrived.
    pub(crate) wire: Vec<Message>,
    /// The servers of the account.
    pub(crate) cloud: Vec<Machine>,
    /// So many servers were made in all.
    pub(crate) made: u8,
    /// What may still go wrong, and what people may still do.
    pub(crate) left: Left,
    /// Objects (bit 1 for the first, bit 2 for the second) that our finalizer let go, though not by force.
    pub(crate) let_go: u8,
    /// Whether a deed is asked for.
    pub(crate) asked: bool,
    /// The law that was broken, and how; nothing happens after that.
    pub(crate) broken: Option<Broken>,
}

/// One controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// How often it was started again; its name changes with every start.
    pub(crate) born: u8,
    /// The object as it knows it.
    pub(crate) view: Option<u32>,
    /// Whether that is the version in the API server: only then a write of it is accepted.
    pub(crate) fresh: bool,
    /// What it remembers of the object.
    pub(crate) memory: u32,
    /// Its last list.
    pub(crate) list: Option<u32>,
    /// A call that was recorded and not yet sent.
    pub(crate) pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) key: Key,
    pub(crate) call: Call,
    /// Ticks since its record; at one or more it is too late to send it.
    pub(crate) age: u8,
}

/// Names one request, as `Sent.key` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// `create-<n>`
    Create(u8),
    /// `<kind>-<time>#<attempt>`, the time as an offset in milliseconds.
    Operation(OperationKind, i32, u8),
}

/// A call, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Makes a server for an object.
    Create { uid: u8, size: u8 },
    /// Does something to the server with this number, for an object.
    Operate {
        uid: u8,
        n: u8,
        kind: OperationKind,
        size: u8,
    },
}

/// A call on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    /// Who waits for the reply; nobody after a crash or a timeout.
    pub(crate) from: Option<u8>,
    pub(crate) key: Key,
    pub(crate) call: Call,
    /// Ticks since it was sent.
    pub(crate) age: u8,
}

/// Whose mark a server carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// None: it was made by hand.
    None,
    /// That of the first or the second object.
    Of(u8),
    /// That of an object of another installation.
    Elsewhere,
}

/// One server in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Machine {
    /// Its id is `s<n>`.
    pub(crate) n: u8,
    pub(crate) mark: Mark,
    pub(crate) state: ServerState,
    /// What it is about to be.
    pub(crate) then: Option<ServerState>,
    /// Ticks for which it is so.
    pub(crate) age: u8,
    pub(crate) size: u8,
    pub(crate) old_size: u8,
    /// Whether its guest runs while a resize waits for a word.
    pub(crate) guest: bool,
    pub(crate) launched: bool,
    /// Ticks, from one, for which lists do not have it yet; zero: they do.
    pub(crate) unlisted: u8,
    /// Ticks, from one, for which the cloud denies it: in lists, and by its id.
    pub(crate) denied: u8,
    /// A resize that somebody else began waits for a word.
    pub(crate) theirs: bool,
    /// How many images were made of it for our deed.
    pub(crate) images: u8,
}

impl Machine {
    pub(crate) fn is_busy(&self) -> bool {
        self.then.is_some() && self.state != ServerState::AwaitingResizeConfirmation
    }

    pub(crate) fn id(&self) -> String {
        format!("s{}", self.n)
    }
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    /// A process dies and is started again, with the object as it knew it before.
    pub(crate) crashes: u8,
    /// Nobody hears what became of a call: it arrives late, or never.
    pub(crate) timeouts: u8,
    /// The cloud refuses a call for a passing reason.
    pub(crate) refusals: u8,
    /// The cloud has no room: a server that was accepted ends in an error.
    pub(crate) no_room: u8,
    /// A process plans on a list that is older than what the cloud would show.
    pub(crate) old_lists: u8,
    /// A call and its reply take longer than a tick.
    pub(crate) slow: u8,
    /// A process is held up between a record and its call, for as long as it takes.
    pub(crate) pauses: u8,
    /// A write is done, but its reply is lost.
    pub(crate) lost_writes: u8,
    /// A server that was made is not in lists at first.
    pub(crate) lags: u8,
    /// The cloud denies a server for a while: it is in no list, and 404 by its id.
    pub(crate) denials: u8,
    /// Somebody flips the power, resizes, deletes a server, or brings it into an unknown state, past us.
    pub(crate) outside: u8,
    /// The user edits power or size.
    pub(crate) edits: u8,
    /// The user deletes the object.
    pub(crate) deletes: u8,
    /// The user takes our finalizer away by force.
    pub(crate) forces: u8,
    /// The user makes an object of the same name again.
    pub(crate) recreations: u8,
    /// The user asks for a deed.
    pub(crate) deeds: u8,
}

impl Left {
    /// Everything that may happen, in words.
    pub(crate) fn words(&self) -> String {
        let all = [
            (self.crashes, "crash"),
            (self.timeouts, "timeout"),
            (self.refusals, "refusal"),
            (self.no_room, "lack of room"),
            (self.old_lists, "old list"),
            (self.slow, "slow call"),
            (self.pauses, "pause"),
            (self.lost_writes, "lost write"),
            (self.lags, "list lag"),
            (self.denials, "denial"),
            (self.outside, "change from outside"),
            (self.edits, "edit"),
            (self.deletes, "deletion"),
            (self.forces, "forced deletion"),
            (self.recreations, "recreation"),
            (self.deeds, "deed"),
        ];
        let some = all.iter().filter(|(n, _)| *n > 0);
        let words: Vec<_> = some
            .map(|(n, word)| format!("{n} {word}{}", if *n > 1 { "s" } else { "" }))
            .collect();
        words.join(", ")
    }
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Law {
    OneServer,
    NothingLeft,
    NoStranger,
    Precondition,
    StaysStopped,
    DeletesWhatIsAsked,
    OneCall,
    OneDeed,
}

/// A law that was broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    pub(crate) law: Law,
    pub(crate) how: &'static str,
}

impl Broken {
    pub(crate) const fn new(law: Law, how: &'static str) -> Self {
        Self { law, how }
    }
}
