//! The scenarios that are also played on real parts.

use crate::scenarios::{common, deeds, groups, outside, power, settings, states};
use crate::world::Virtual;

macro_rules! play {
    ($($module:ident::$name:ident),* $(,)?) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                let (world, stage) = Virtual::new().await;
                $module::$name(&stage).await;
                world.judge().await;
            }
        )*
    };
}

crate::for_each_scenario!(play);
