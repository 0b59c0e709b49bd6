//! The live table, or plain lines where standard output is no terminal.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    time::Duration,
};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use tokio::{sync::watch, time::sleep};

use super::board::{State, View};

/// The table is not drawn more often.
const PERIOD: Duration = Duration::from_millis(100);

/// Shows the view until whoever writes it is gone. `demo` is what sends traces to it.
pub(super) async fn show(mut view: watch::Receiver<View>, demo: String) {
    let mut screen = Screen::new(demo);
    loop {
        let shown = view.borrow_and_update().clone();
        // Whoever closed the other end of standard output does not want to read on.
        let _ = screen.show(&shown);
        if view.changed().await.is_err() {
            return;
        }
        sleep(PERIOD).await;
    }
}

struct Screen {
    demo: String,
    terminal: bool,
    /// Lines of the table on the screen.
    lines: usize,
    states: BTreeMap<String, State>,
    notes: Vec<String>,
    problem: Option<String>,
    was_ready: bool,
}

impl Screen {
    fn new(demo: String) -> Self {
        Self {
            demo,
            terminal: std::io::stdout().is_terminal(),
            lines: 0,
            states: BTreeMap::new(),
            notes: Vec::new(),
            problem: None,
            was_ready: false,
        }
    }

    fn show(&mut self, view: &View) -> std::io::Result<()> {
        if view.rows.is_empty() {
            return Ok(());
        }
        let text = if self.terminal {
            self.table(view)
        } else {
            self.changes(view)
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// The whole view, drawn over the one before.
    fn table(&mut self, view: &View) -> String {
        let text = table(view, &self.demo);
        let above = match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}F\x1b[J"),
        };
        self.lines = text.lines().count();
        format!("{above}{text}")
    }

    /// What differs from the view before, a line each.
    fn changes(&mut self, view: &View) -> String {
        let mut lines: Vec<String> = Vec::new();
        if self.notes != view.notes {
            lines.extend(view.notes.iter().cloned());
            self.notes.clone_from(&view.notes);
        }
        if self.problem != view.problem {
            lines.extend(view.problem.clone());
            self.problem.clone_from(&view.problem);
        }
        for (name, row) in &view.rows {
            if self.states.insert(name.clone(), row.state.clone()).as_ref() != Some(&row.state) {
                lines.push(format!("{name}: {}", row.state));
            }
        }
        if view.all_ready() && !self.was_ready {
            for (name, row) in view.rows.iter().filter(|(_, row)| !row.addresses.is_empty()) {
                lines.push(format!("{name}: {}", row.addresses.join(", ")));
            }
            lines.push(hint(view, &self.demo));
        }
        self.was_ready = view.all_ready();
        ended(&lines)
    }
}

fn table(view: &View, demo: &str) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["component", "state", "restarts", "address"]);
    for (name, row) in &view.rows {
        table.add_row([
            name.clone(),
            row.state.to_string(),
            row.restarts.to_string(),
            row.addresses.join("\n"),
        ]);
    }
    let width = table.width().map_or(usize::MAX, usize::from);
    let below = view.notes.iter().cloned().chain(view.problem.clone());
    let below = below.chain([hint(view, demo)]);
    let mut lines = vec![table.to_string()];
    lines.extend(below.flat_map(|text| folded(&text, width)));
    ended(&lines)
}

/// A text in lines of at most `width` characters: those that the terminal folds itself would not be counted.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let characters: Vec<char> = line.chars().collect();
        lines.extend(characters.chunks(width.max(1)).map(String::from_iter));
    }
    lines
}

fn hint(view: &View, demo: &str) -> String {
    if view.all_ready() {
        format!("everything is ready; `{demo}` in another terminal sends traces; Ctrl-C stops all")
    } else if view.is_stopping() {
        "stopping; Ctrl-C again ends what is left at once".to_owned()
    } else {
        "starting; Ctrl-C stops all".to_owned()
    }
}

/// Lines as a text that ends with the last of them; none are no text.
fn ended(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if !lines.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_terminal_is_wide() {
        assert_eq!(folded("a note\nand äöü", 4), ["a no", "te", "and ", "äöü"]);
        assert_eq!(folded("short", usize::MAX), ["short"]);
    }
}
