//! Model checking: the production's planner, in every world within bounds.
//!
//! ```text
//! cargo test --features sim --test model                 what is checked before a change lands
//! MODEL=large cargo test --features sim --test model     the larger bounds
//! cargo test --features sim --test model -- WORD...      only what has the word in its name
//! ```
//!
//! Prints for each world its bounds and how many states it has, and for each sown bug the story that shows it.

#![allow(clippy::expect_used, clippy::print_stdout)]

mod bounds;
mod calm;
mod clock;
mod cloud;
mod groups;
mod laws;
mod mind;
mod sown;
mod steps;
mod story;
mod tables;
mod world;

use std::fmt::Debug;
use std::hash::Hash;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use steps::World;

/// The story of what breaks a law: the law, and the sentences.
pub(crate) struct Story {
    law: &'static str,
    sentences: Vec<String>,
}

/// A world that can be explored and told of.
pub(crate) trait Tells:
    Model<State: Clone + PartialEq + Debug + Hash, Action: Clone + PartialEq + Debug>
{
    /// A path, as a story.
    fn tell(&self, path: &[(Self::State, Option<Self::Action>)]) -> Vec<String>;
    /// Why a state does not come to rest as it should; none: it does.
    fn restless(&self, state: &Self::State) -> Option<String>;
    /// How many different plans were made, and what was followed to rest.
    fn counts(&self) -> (usize, &calm::Calm);
}

impl Tells for World {
    fn tell(&self, path: &[(Self::State, Option<Self::Action>)]) -> Vec<String> {
        story::tell(self, path)
    }

    fn restless(&self, state: &Self::State) -> Option<String> {
        self.at_rest(state).err()
    }

    fn counts(&self) -> (usize, &calm::Calm) {
        (self.mind.plans(), &self.calm)
    }
}

/// What an exploration came to.
struct Explored {
    states: usize,
    transitions: usize,
    depth: usize,
    story: Option<Story>,
}

fn explore<W>(world: &W, most: Option<usize>, threads: usize) -> Explored
where
    W: Tells + Clone + Send + Sync + 'static,
    W::State: Send + Sync + 'static,
{
    let mut builder = world
        .clone()
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(most) = most {
        builder = builder.target_max_depth(most);
    }
    let checker = builder.spawn_bfs().join();
    let shortest = checker
        .discoveries()
        .into_iter()
        .min_by_key(|(_, path)| path.clone().into_vec().len());
    let story = shortest.map(|(law, path)| {
        let path = path.into_vec();
        let mut sentences = world.tell(&path);
        if law == laws::COMES_TO_REST
            && let Some(why) = path.last().and_then(|(s, _)| world.restless(s))
        {
            sentences.push(format!("From here on everything goes well, and yet: {why}."));
        }
        Story { law, sentences }
    });
    Explored {
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        story,
    }
}

/// What all explorations came to.
#[derive(Default)]
struct Report {
    states: usize,
    transitions: usize,
    failed: Vec<String>,
}

impl Report {
    /// Explores a world, in which nothing may be found.
    fn world<W>(&mut self, name: &str, words: &str, world: &W, most: Option<usize>)
    where
        W: Tells + Clone + Send + Sync + 'static,
        W::State: Send + Sync + 'static,
    {
        let t = Instant::now();
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        println!("world {name}: {words}");
        let explored = explore(world, most, threads);
        let (plans, calm) = world.counts();
        println!(
            "  {} states, {} transitions, {} steps deep, {plans} different plans, {:.0?}; {} of them followed to rest, within {} rounds",
            explored.states,
            explored.transitions,
            explored.depth,
            t.elapsed(),
            calm.looked_at.load(Ordering::Relaxed),
            calm.longest.load(Ordering::Relaxed),
        );
        self.states += explored.states;
        self.transitions += explored.transitions;
        if let Some(story) = explored.story {
            println!("  BROKEN: {}", story.law);
            story.sentences.iter().for_each(|line| println!("  {line}"));
            self.failed.push(name.to_owned());
        }
    }

    /// Explores a world with a bug in it, which has to be found by the law that it breaks.
    fn bug<W>(&mut self, name: &str, meaning: &str, words: &str, world: &W, law: &str)
    where
        W: Tells + Clone + Send + Sync + 'static,
        W::State: Send + Sync + 'static,
    {
        let t = Instant::now();
        // One thread finds the shortest story, and always the same.
        let explored = explore(world, None, 1);
        println!("bug {name}: {meaning}");
        println!("  {words}; {} states, {:.1?}", explored.states, t.elapsed());
        match explored.story {
            Some(story) if story.law == law => {
                println!("  found: {}", story.law);
                story.sentences.iter().for_each(|line| println!("  {line}"));
            }
            other => {
                println!("  NOT FOUND: {law}");
                if let Some(story) = other {
                    println!("  but: {}", story.law);
                    story.sentences.iter().for_each(|line| println!("  {line}"));
                }
                self.failed.push(name.to_owned());
            }
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));
    let large = std::env::var("MODEL").is_ok_and(|m| m == "large");
    let began = Instant::now();
    let mut report = Report::default();
    for bounds in bounds::worlds(large).into_iter().filter(|b| wanted(b.name)) {
        let world = World::new(bounds.clone(), None, None);
        report.world(bounds.name, &bounds.words(), &world, bounds.depth);
    }
    for bounds in groups::worlds(large).into_iter().filter(|b| wanted(b.name)) {
        let world = groups::World::new(bounds.clone(), None);
        report.world(bounds.name, &bounds.words(), &world, None);
    }
    for sown in sown::all().into_iter().filter(|s| wanted(&s.name())) {
        let world = World::new(sown.bounds.clone(), sown.bug, sown.shell);
        report.bug(
            &sown.name(),
            sown.meaning(),
            &sown.bounds.words(),
            &world,
            sown.law,
        );
    }
    for sown in groups::sown().into_iter().filter(|s| wanted(s.bug.as_str())) {
        let world = groups::World::new(sown.bounds.clone(), Some(sown.bug));
        let (name, meaning) = (sown.bug.as_str(), sown.bug.meaning());
        report.bug(name, meaning, &sown.bounds.words(), &world, sown.law);
    }
    println!(
        "{} states and {} transitions in all, {:.0?}",
        report.states,
        report.transitions,
        began.elapsed()
    );
    if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("broken in: {}", report.failed.join(", "));
        ExitCode::FAILURE
    }
}
