//! What a run showed, against the bars: as a table, as Markdown for the history, and as JSON. Not here: measuring.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::bars::{BARS, Bar, Key};
use super::machine::Surroundings;

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq)]
enum Measured {
    Value(f64),
    Missing(String),
}

/// The figures of a run. What was not asked for is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    measured: BTreeMap<Key, Measured>,
    notes: BTreeMap<Key, String>,
}

impl Figures {
    pub(super) fn set(&mut self, key: Key, value: f64) {
        self.measured.insert(key, Measured::Value(value));
    }

    /// Says why a figure was asked for and is not there.
    pub(super) fn missing(&mut self, key: Key, reason: impl Into<String>) {
        self.measured.insert(key, Measured::Missing(reason.into()));
    }

    /// Adds to a figure what the number alone does not say.
    pub(super) fn note(&mut self, key: Key, note: impl Into<String>) {
        self.notes.insert(key, note.into());
    }

    pub(super) fn get(&self, key: Key) -> Option<f64> {
        match self.measured.get(&key) {
            Some(Measured::Value(value)) => Some(*value),
            _ => None,
        }
    }
}

/// Instructions that a hot loop takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counted {
    pub(super) work: &'static str,
    /// Instructions, and of what one is counted.
    pub(super) instructions: f64,
    pub(super) per: &'static str,
}

/// Instructions of all hot loops, or why they were not counted.
pub(super) type Instructions = Result<Vec<Counted>, String>;

/// A run.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) surroundings: Surroundings,
    pub(super) spans: u64,
    pub(super) generator: String,
    pub(super) figures: Figures,
    /// Absent when nobody asked.
    pub(super) instructions: Option<Instructions>,
}

const HEADER: [&str; 7] = [
    "work",
    "Tempo 3.0.3",
    "VictoriaTraces",
    "bar",
    "tempo-rs",
    "met",
    "note",
];

const LOOPS_HEADER: [&str; 3] = ["hot loop", "instructions", "for each"];

impl Report {
    /// Whether bars were measured and every one of them is met.
    pub(super) fn all_met(&self) -> bool {
        let mut measured = BARS.iter().filter_map(|bar| self.is_met(bar)).peekable();
        measured.peek().is_some() && measured.all(|is_met| is_met)
    }

    fn is_met(&self, bar: &Bar) -> Option<bool> {
        self.figures.get(bar.key).map(|value| bar.limit.is_met(value))
    }

    /// The bars that were asked for, as the cells of [`HEADER`].
    fn rows(&self) -> impl Iterator<Item = [String; 7]> {
        BARS.iter().filter_map(|bar| {
            let measured = match self.figures.measured.get(&bar.key)? {
                Measured::Value(value) => bar.unit.text(*value),
                Measured::Missing(reason) => reason.clone(),
            };
            let met = match self.is_met(bar) {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            Some([
                bar.work.to_owned(),
                bar.tempo.to_owned(),
                bar.victoria_traces.to_owned(),
                bar.limit.text(bar.unit),
                measured,
                met.to_owned(),
                self.figures.notes.get(&bar.key).cloned().unwrap_or_default(),
            ])
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut bars = new_table();
        bars.set_header(HEADER);
        bars.add_rows(self.rows());
        let instructions = match &self.instructions {
            None => String::new(),
            Some(Err(reason)) => format!("instructions are not counted: {reason}\n"),
            Some(Ok(loops)) => {
                let mut table = new_table();
                table.set_header(LOOPS_HEADER);
                table.add_rows(loops.iter().map(Counted::row));
                format!("{table}\n")
            }
        };
        format!(
            "{}\n{} spans by {}\n{bars}\n{instructions}",
            self.surroundings.to_text(),
            self.spans,
            self.generator
        )
    }

    /// An entry of the history, which `command` made.
    pub(super) fn to_markdown(&self, command: &str) -> String {
        let instructions = match &self.instructions {
            None => String::new(),
            Some(Err(reason)) => format!("\nInstructions were not counted: {reason}.\n"),
            Some(Ok(loops)) => format!("\n{}", markdown(&LOOPS_HEADER, loops.iter().map(Counted::row))),
        };
        format!(
            "\n## {}\n\n{} spans by {}. Command: `{command}`.\n\n{}{instructions}",
            self.surroundings.to_text(),
            self.spans,
            self.generator,
            markdown(&HEADER, self.rows()),
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let bars = BARS.iter().filter_map(|bar| {
            let measured = self.figures.measured.get(&bar.key)?;
            let reason = match measured {
                Measured::Missing(reason) => Some(reason),
                Measured::Value(_) => None,
            };
            Some(json!({
                "key": format!("{:?}", bar.key),
                "work": bar.work,
                "unit": format!("{:?}", bar.unit),
                "bar": bar.limit.text(bar.unit),
                "measured": self.figures.get(bar.key),
                "met": self.is_met(bar),
                "missing": reason,
                "note": self.figures.notes.get(&bar.key),
            }))
        });
        let instructions = self.instructions.as_ref().map(|instructions| match instructions {
            Err(reason) => json!({"missing": reason}),
            Ok(loops) => loops
                .iter()
                .map(
                    |Counted {
                         work,
                         instructions,
                         per,
                     }| json!({"work": work, "instructions": instructions, "per": per}),
                )
                .collect(),
        });
        json!({
            "surroundings": self.surroundings.to_json(),
            "spans": self.spans,
            "generator": self.generator,
            "bars": bars.collect::<Vec<Value>>(),
            "instructions": instructions,
        })
    }
}

impl Counted {
    fn row(&self) -> [String; 3] {
        let Self {
            work,
            instructions,
            per,
        } = self;
        [
            (*work).to_owned(),
            format!("{instructions:.0}"),
            (*per).to_owned(),
        ]
    }
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table
}

fn markdown<const N: usize>(header: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String; N]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&header.map(str::to_owned)) + &line(&[(); N].map(|()| "---".to_owned()));
    rows.for_each(|row| text += &line(&row));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut figures = Figures::default();
        figures.set(Key::IngestCpu, 3.71);
        figures.set(Key::StoredBytes, 33.0);
        figures.missing(Key::RateLatency, "answers 400");
        figures.note(Key::StoredBytes, "5 blocks");
        Report {
            surroundings: Surroundings::default(),
            spans: 7,
            generator: "the built-in shop".to_owned(),
            figures,
            instructions: Some(Ok(vec![Counted {
                work: "decode",
                instructions: 812.4,
                per: "span",
            }])),
        }
    }

    #[test]
    fn what_was_measured_stands_beside_its_bar() {
        let text = report().to_markdown("make bench");
        assert!(
            text.contains("| CPU-s per M spans, settled | 74 | 30 | ≤ 5 s | 3.71 s | yes |  |"),
            "{text}"
        );
        assert!(text.contains("≤ 32 B | 33 B | no | 5 blocks |"), "{text}");
        assert!(text.contains("≤ 30 ms | answers 400 |  |"), "{text}");
        assert!(text.contains("| decode | 812 | span |"), "{text}");
        assert!(
            !text.contains("VmHWM"),
            "what nobody asked for is not shown: {text}"
        );
    }

    #[test]
    fn one_bar_that_is_missed_is_enough() {
        let mut report = report();
        assert!(!report.all_met());
        report.figures.set(Key::StoredBytes, 31.0);
        assert!(report.all_met(), "what is not known is not missed");
        let nothing = Report {
            figures: Figures::default(),
            ..report.clone()
        };
        assert!(!nothing.all_met(), "nothing was measured");
        report.instructions = Some(Err("valgrind is not installed".to_owned()));
        assert!(report.to_text().contains("valgrind is not installed"));
    }

    #[test]
    fn json_has_the_numbers() {
        let json = report().to_json();
        let bars = json["bars"].as_array().unwrap();
        assert_eq!(bars.len(), 3);
        assert_eq!(bars[0]["measured"], 3.71);
        assert_eq!(bars[0]["met"], true);
        assert_eq!(bars[2]["missing"], "answers 400");
        assert_eq!(json["instructions"][0]["per"], "span");
    }
}
