//! What a bad network does to requests and replies.

use std::time::Duration;

use crate::scenarios::dice::Dice;

/// What becomes of one request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It goes its way.
    None,
    /// It is held up before it goes on.
    Late(Duration),
    /// It never arrives: the connection breaks.
    Lost,
    /// A gateway says that it did not get through.
    BadGateway,
    /// It is carried out, and the connection breaks before the reply is there.
    ReplyLost,
    /// It is carried out twice, as a gateway that repeats does; all but what makes a server.
    Twice,
    /// The reply ends after so many bytes.
    Cut(usize),
    /// Bytes of the reply are others than those that were sent, as these dice say: what was text is text no more.
    Corrupted(Dice),
    /// The token is no longer known.
    Revoked,
}

/// The weather between a controller and what it talks to.
#[derive(Clone, Debug)]
pub struct Weather {
    dice: Dice,
    /// Whether there are tokens that can be revoked.
    tokens: bool,
}

impl Weather {
    /// The weather of a seed.
    pub fn new(seed: u64, tokens: bool) -> Self {
        Self {
            dice: Dice(seed),
            tokens,
        }
    }

    /// What the next request meets: trouble is about one in six.
    pub fn next(&mut self, repeatable: bool) -> Trouble {
        match self.dice.roll(100) {
            0..3 => Trouble::Late(Duration::from_millis(self.dice.roll(3000))),
            3..6 => Trouble::Lost,
            6..8 => Trouble::BadGateway,
            8..11 => Trouble::ReplyLost,
            11..13 if repeatable => Trouble::Twice,
            13..14 => Trouble::Cut(self.dice.roll(400) as usize),
            14..16 => Trouble::Corrupted(Dice(self.dice.roll(u64::MAX))),
            16 if self.tokens => Trouble::Revoked,
            _ => Trouble::None,
        }
    }
}
