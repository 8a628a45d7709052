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
mod laws;
mod mind;
mod sown;
mod steps;
mod story;
mod tables;
mod world;

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

/// What an exploration came to.
struct Explored {
    states: usize,
    transitions: usize,
    depth: usize,
    story: Option<Story>,
}

fn explore(world: &World, most: Option<usize>, threads: usize) -> Explored {
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
        let mut sentences = story::tell(world, &path);
        if law == laws::COMES_TO_REST
            && let Some(Err(why)) = path.last().map(|(s, _)| world.at_rest(s))
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

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));
    let large = std::env::var("MODEL").is_ok_and(|m| m == "large");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let began = Instant::now();
    let mut all = (0, 0);
    let mut failed = Vec::new();
    for bounds in bounds::worlds(large).into_iter().filter(|b| wanted(b.name)) {
        let t = Instant::now();
        println!("world {}: {}", bounds.name, bounds.words());
        let world = World::new(bounds.clone(), None, None);
        let explored = explore(&world, bounds.depth, threads);
        let calm = &world.calm;
        println!(
            "  {} states, {} transitions, {} steps deep, {} different plans, {:.0?}; {} of them followed to rest, within {} rounds",
            explored.states,
            explored.transitions,
            explored.depth,
            world.mind.plans(),
            t.elapsed(),
            calm.looked_at.load(Ordering::Relaxed),
            calm.longest.load(Ordering::Relaxed),
        );
        all = (all.0 + explored.states, all.1 + explored.transitions);
        if let Some(story) = explored.story {
            println!("  BROKEN: {}", story.law);
            story.sentences.iter().for_each(|line| println!("  {line}"));
            failed.push(bounds.name.to_owned());
        }
    }
    for sown in sown::all().into_iter().filter(|s| wanted(&s.name())) {
        let t = Instant::now();
        let world = World::new(sown.bounds.clone(), sown.bug, sown.shell);
        // One thread finds the shortest story, and always the same.
        let explored = explore(&world, None, 1);
        println!("bug {}: {}", sown.name(), sown.meaning());
        println!(
            "  {}; {} states, {:.1?}",
            sown.bounds.words(),
            explored.states,
            t.elapsed()
        );
        match explored.story {
            Some(story) if story.law == sown.law => {
                println!("  found: {}", story.law);
                story.sentences.iter().for_each(|line| println!("  {line}"));
            }
            other => {
                println!("  NOT FOUND: {}", sown.law);
                if let Some(story) = other {
                    println!("  but: {}", story.law);
                    story.sentences.iter().for_each(|line| println!("  {line}"));
                }
                failed.push(sown.name());
            }
        }
    }
    println!(
        "{} states and {} transitions in all, {:.0?}",
        all.0,
        all.1,
        began.elapsed()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("broken in: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}
