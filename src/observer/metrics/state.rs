//! What is read at each scrape instead of being counted: objects, their ages, the ages of observations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::catalogue::Described;
use super::labels::{Config, KindReason, Power, ReadyReason};
use crate::observer::sync::lock;

/// So many ProviderConfigs have a series of their own.
const MOST_CONFIGS: usize = 500;

/// What there is at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Objects by their Ready condition.
    pub objects: BTreeMap<ReadyReason, i64>,
    /// Objects by their Stalled condition.
    pub stalled: BTreeMap<KindReason, i64>,
    /// Servers by power state.
    pub power: BTreeMap<Power, i64>,
    /// For how long the oldest has not been Ready, in seconds.
    pub oldest: BTreeMap<KindReason, f64>,
    /// How old each account's last complete list is, in seconds.
    pub ages: BTreeMap<Config, f64>,
}

type Look = Arc<dyn Fn() -> Option<State> + Send + Sync>;

/// Asks for the state when it is scraped.
#[derive(Clone, Default)]
pub struct Scraped(Arc<Mutex<Option<Look>>>);

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scraped")
    }
}

impl Scraped {
    /// From now on this is asked; it says nothing in a process that does not act.
    pub fn ask(&self, look: impl Fn() -> Option<State> + Send + Sync + 'static) {
        *lock(&self.0) = Some(Arc::new(look));
    }

    fn state(&self) -> State {
        let look = lock(&self.0).clone();
        look.and_then(|look| look()).unwrap_or_default()
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut state = self.state();
        bound(&mut state.ages);
        family(&mut encoder, "objects", &state.objects)?;
        family(&mut encoder, "objects_stalled", &state.stalled)?;
        family(&mut encoder, "servers_power", &state.power)?;
        family(&mut encoder, "oldest_not_ready", &state.oldest)?;
        family(&mut encoder, "observation_age", &state.ages)
    }
}

/// Keeps the oldest.
fn bound(ages: &mut BTreeMap<Config, f64>) {
    if ages.len() > MOST_CONFIGS {
        let mut all: Vec<_> = std::mem::take(ages).into_iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(MOST_CONFIGS);
        ages.extend(all);
    }
}

fn family<L, V>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    values: &BTreeMap<L, V>,
) -> Result<(), fmt::Error>
where
    L: EncodeLabelSet,
    V: Copy,
    ConstGauge<V>: EncodeMetric,
{
    let described = Described::of(name).ok_or(fmt::Error)?;
    let (unit, help) = (described.unit(), format!("{}.", described.help));
    let mut metric = encoder.encode_descriptor(name, &help, unit.as_ref(), MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_makes_many_configs_does_not_fill_the_monitoring() {
        let config = |n: usize| Config {
            config_namespace: "n".into(),
            config: format!("c{n:04}"),
        };
        let mut ages: BTreeMap<Config, f64> = (0..2000).map(|n| (config(n), n as f64)).collect();
        bound(&mut ages);
        assert_eq!(ages.len(), MOST_CONFIGS);
        assert!(ages.values().all(|age| *age >= 1500.0), "the oldest are kept");
        bound(&mut ages);
        assert_eq!(ages.len(), MOST_CONFIGS);
    }
}
