//! Groups: a ServerGroup and its members, with the planner that ships, in a world of their own.

mod bounds;
mod cloud;
mod laws;
mod mind;
mod steps;
mod story;
mod world;

pub(crate) use bounds::{sown, worlds};
pub(crate) use world::World;

use crate::Tells;
use steps::Action;
use world::State;

impl Tells for World {
    fn tell(&self, path: &[(State, Option<Action>)]) -> Vec<String> {
        story::tell(self, path)
    }

    fn restless(&self, state: &State) -> Option<String> {
        self.at_rest(state).err()
    }

    fn counts(&self) -> (usize, &crate::calm::Calm) {
        (self.mind.plans(), &self.calm)
    }
}
