//! Plots as SVG: panels side by side, each with lines over a logarithmic axis. Not here: what is measured.

use std::fmt::Write;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 280.0;
/// The room of a panel around its axes.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 64.0;
const COLUMNS: usize = 2;
const COLOURS: [&str; 5] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"];

/// How values become places on the vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    Logarithmic,
}

/// Lines that share their axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) lines: Vec<Line>,
}

/// A line through points, which are above zero on logarithmic axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// An SVG image of panels whose horizontal axes all show `across`.
pub(super) fn svg(across: &str, panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let (column, row) = (number % COLUMNS, number / COLUMNS);
        let (left, top) = (column as f64 * WIDTH, row as f64 * HEIGHT);
        let body = panel.body(across);
        // Writing into a string does not fail.
        let _ = write!(image, "<g transform=\"translate({left} {top})\">\n{body}</g>\n");
    }
    image + "</svg>\n"
}

/// Values between two ends, which become places between two others.
struct Axis {
    scale: Scale,
    values: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let by_scale = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(f64::MIN_POSITIVE).ln(),
        };
        let (from, to) = (by_scale(self.values.0), by_scale(self.values.1));
        let part = if to > from {
            (by_scale(value) - from) / (to - from)
        } else {
            0.5
        };
        self.places.0 + part * (self.places.1 - self.places.0)
    }

    /// Values worth a line of the grid.
    fn marks(&self) -> Vec<f64> {
        let (from, to) = self.values;
        match self.scale {
            Scale::Linear => (0..=4)
                .map(|step| from + (to - from) * f64::from(step) / 4.0)
                .collect(),
            Scale::Logarithmic => {
                let powers = from.log10().floor() as i32..=to.log10().ceil() as i32;
                let all = powers.map(|power| 10_f64.powi(power));
                all.filter(|value| (from..=to).contains(value)).collect()
            }
        }
    }
}

impl Panel {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines.iter().flat_map(|line| line.points.iter().copied())
    }

    fn axes(&self) -> (Axis, Axis) {
        let across = Axis {
            scale: Scale::Logarithmic,
            values: ends(self.points().map(|(x, _)| x)),
            places: (LEFT, WIDTH - RIGHT),
        };
        let (least, most) = ends(self.points().map(|(_, y)| y));
        let values = match self.scale {
            Scale::Linear => (0.0, most * 1.15),
            Scale::Logarithmic => (least / 2.0, most * 2.0),
        };
        let up = Axis {
            scale: self.scale,
            values,
            places: (HEIGHT - BOTTOM, TOP),
        };
        (across, up)
    }

    fn body(&self, across: &str) -> String {
        let (horizontal, vertical) = self.axes();
        let mut body = text(f64::midpoint(LEFT, WIDTH), 20.0, "middle", &self.title);
        for mark in vertical.marks() {
            let y = vertical.place(mark);
            body += &rule((LEFT, y), (WIDTH - RIGHT, y));
            body += &text(LEFT - 6.0, y + 4.0, "end", &short(mark));
        }
        let mut marks: Vec<f64> = self.points().map(|(x, _)| x).collect();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        for mark in marks {
            let x = horizontal.place(mark);
            body += &rule((x, TOP), (x, HEIGHT - BOTTOM));
            body += &text(x, HEIGHT - BOTTOM + 14.0, "middle", &short(mark));
        }
        body += &text(
            f64::midpoint(LEFT, WIDTH),
            HEIGHT - BOTTOM + 30.0,
            "middle",
            across,
        );
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or_default();
            body += &line.drawn(colour, &horizontal, &vertical);
            if self.lines.len() > 1 {
                body += &legend(number, self.lines.len(), colour, &line.name);
            }
        }
        body
    }
}

impl Line {
    fn drawn(&self, colour: &str, horizontal: &Axis, vertical: &Axis) -> String {
        let mut path = String::new();
        let mut dots = String::new();
        for (x, y) in &self.points {
            let (x, y) = (horizontal.place(*x), vertical.place(*y));
            let _ = write!(path, "{x:.1},{y:.1} ");
            let _ = writeln!(
                dots,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{dots}",
            path.trim_end()
        )
    }
}

fn legend(number: usize, of: usize, colour: &str, name: &str) -> String {
    let x = LEFT + (WIDTH - LEFT) * number as f64 / of as f64;
    let y = HEIGHT - 12.0;
    let dot = format!(
        "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>\n",
        y - 4.0
    );
    dot + &text(x + 8.0, y, "start", name)
}

fn rule((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>\n")
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

/// The least and the largest; one and one of none.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let both = values.fold(None, |ends: Option<(f64, f64)>, value| {
        let (least, most) = ends.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    });
    both.unwrap_or((1.0, 1.0))
}

/// A number in few letters.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let decimals = match scaled {
        scaled if scaled >= 20.0 => 0,
        scaled if scaled >= 1.0 => 1,
        scaled if scaled >= 0.1 => 2,
        _ => 3,
    };
    let digits = format!("{scaled:.decimals$}");
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        &digits
    };
    format!("{digits}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(scale: Scale) -> Panel {
        Panel {
            title: "a < b".to_owned(),
            scale,
            lines: vec![
                Line {
                    name: "one".to_owned(),
                    points: vec![(1.0, 10.0), (100.0, 20.0)],
                },
                Line {
                    name: "two".to_owned(),
                    points: vec![(10.0, 5.0)],
                },
            ],
        }
    }

    #[test]
    fn places_follow_values() {
        let (across, up) = panel(Scale::Linear).axes();
        assert!((across.place(1.0) - LEFT).abs() < 0.01);
        assert!((across.place(100.0) - (WIDTH - RIGHT)).abs() < 0.01);
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        assert!((across.place(10.0) - middle).abs() < 0.01, "it is logarithmic");
        assert!(up.place(20.0) < up.place(10.0) && up.place(20.0) > TOP);
        assert!((up.place(0.0) - (HEIGHT - BOTTOM)).abs() < 0.01);
    }

    #[test]
    fn an_image_is_well_formed() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let image = svg("spans", &[panel(scale), panel(scale), panel(scale)]);
            assert!(image.starts_with("<svg ") && image.ends_with("</svg>\n"));
            assert_eq!(image.matches("<g ").count(), image.matches("</g>").count());
            assert_eq!(image.matches("<circle").count(), 3 * 5);
            assert!(image.contains("a &lt; b") && !image.contains("NaN"));
        }
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [
            (1e6, "1 M"),
            (20e6, "20 M"),
            (300_000.0, "300 k"),
            (1000.0, "1000"),
            (0.25, "0.25"),
        ];
        for (value, text) in numbers {
            assert_eq!(short(value), text);
        }
    }
}
