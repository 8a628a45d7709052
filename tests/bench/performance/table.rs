//! What was measured, beside its bound and its target.

use serde_json::{Value, json};

/// One line of the table.
pub struct Row {
    pub id: &'static str,
    pub metric: String,
    pub unit: &'static str,
    /// What nobody can do better than; 0 where that is nothing.
    pub bound: f64,
    /// At most this; at least this where `more` is set.
    pub target: f64,
    pub measured: f64,
    /// More is better.
    pub more: bool,
}

impl Row {
    /// A line where less is better.
    pub fn new(
        id: &'static str,
        metric: impl Into<String>,
        unit: &'static str,
        bound: f64,
        target: f64,
        measured: f64,
    ) -> Self {
        Self {
            id,
            metric: metric.into(),
            unit,
            bound,
            target,
            measured,
            more: false,
        }
    }

    /// Whether the target is met. What could not be measured does not meet it.
    pub fn passes(&self) -> bool {
        if self.more {
            self.measured >= self.target
        } else {
            self.measured <= self.target
        }
    }

    /// What was measured in parts of the bound.
    fn ratio(&self) -> Option<f64> {
        (self.bound > 0.0).then(|| self.measured / self.bound)
    }

    /// As a line of a table in Markdown.
    pub fn line(&self) -> String {
        let ratio = self.ratio().map_or_else(|| "–".to_owned(), |r| format!("{r:.2}"));
        let (sign, word) = (
            if self.more { "≥" } else { "≤" },
            if self.passes() { "yes" } else { "missed" },
        );
        format!(
            "| {} | {} | {} | {} | {sign} {} | {} | {ratio} | {word} |",
            self.id,
            self.metric,
            self.unit,
            short(self.bound),
            short(self.target),
            short(self.measured)
        )
    }

    fn json(&self) -> Value {
        json!({"id": self.id, "metric": self.metric, "unit": self.unit, "bound": self.bound, "target": self.target,
            "measured": self.measured, "ratio": self.ratio(), "pass": self.passes()})
    }
}

/// The head of the table.
pub const HEAD: &str = "| | metric | unit | bound | target | measured | ratio | met |\n| --- | --- | --- | ---: | ---: | ---: | ---: | --- |";

/// Three significant digits.
fn short(number: f64) -> String {
    match number.abs() {
        n if n == 0.0 || n >= 100.0 => format!("{number:.0}"),
        n if n >= 10.0 => format!("{number:.1}"),
        n if n >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// Tells what was measured as soon as it was: what comes later may fail.
pub fn told(rows: Vec<Row>) -> Vec<Row> {
    rows.iter().for_each(|row| eprintln!("{}", row.line()));
    rows
}

/// All lines with the machine that they were measured on, for other programs.
pub fn json(rows: &[Row], machine: &str) -> Value {
    json!({"machine": machine, "rows": rows.iter().map(Row::json).collect::<Vec<_>>()})
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// So many percent of the values are not above it.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
