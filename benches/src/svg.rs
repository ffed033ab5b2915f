//! Start-up curves as a drawing: a file of SVG that needs nothing but itself.
//!
//! Both axes are logarithmic. What differs at the start are milliseconds and what differs at the end is the pace, a
//! factor; on such axes a pace is a line of slope one and a factor a distance, the same everywhere.

use std::fmt::Write as _;

use crate::curve::{Curve, Curves};

/// The size of the drawing, and what of it is for titles and labels: left, right, above, below.
const SIZE: (f64, f64) = (1000.0, 620.0);
const MARGINS: (f64, f64, f64, f64) = (80.0, 190.0, 70.0, 60.0);

/// Colours that people who see fewer colours can tell apart too (Okabe and Ito, 2008), with grey for their yellow.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#7f7f7f"];

/// How far apart labels are at least.
const LINE: f64 = 18.0;

/// A logarithmic axis: values from `low` to `high` lie between `from` and `to`.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// One, two and five times each power of ten on it; whether it is a power itself.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let ticks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|by| (by * 10_f64.powi(power), by == 1.0)));
        // A hair's breadth for what rounding does to a power of ten.
        ticks.filter(|(value, _)| (self.low * 0.999..=self.high * 1.001).contains(value)).collect()
    }
}

/// The drawing.
pub fn draw(curves: &Curves) -> String {
    let drawn: Vec<(usize, &Curve)> =
        curves.curves.iter().enumerate().filter(|(_, curve)| !curve.points.is_empty()).collect();
    let points = || drawn.iter().flat_map(|(_, curve)| &curve.points);
    let first = points().map(|point| point.seconds.median).fold(curves.seconds / 10.0, f64::min);
    let most = points().map(|point| point.units as f64).fold(10.0, f64::max);
    let (left, right, above, below) = MARGINS;
    let x = Axis {
        low: [5.0, 2.0, 1.0, 0.5, 0.2, 0.1]
            .map(|ms| ms / 1e3)
            .into_iter()
            .find(|&t| t <= first)
            .unwrap_or(1e-5),
        high: curves.seconds,
        from: left,
        to: SIZE.0 - right,
    };
    let y = Axis { low: 1.0, high: most * 1.2, from: SIZE.1 - below, to: above };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        SIZE.0, SIZE.1
    );
    titles(&mut out, curves, x, y);
    grid(&mut out, x, y);
    let mut ends = Vec::new();
    for (index, curve) in drawn {
        ends.extend(line(&mut out, index, curve, x, y));
    }
    labels(&mut out, ends, x.to);
    out.push_str("</svg>\n");
    out
}

fn titles(out: &mut String, curves: &Curves, x: Axis, y: Axis) {
    let runs =
        if curves.runs == 1 { "one run".to_owned() } else { format!("median of {} runs", curves.runs) };
    let machine = format!("{}, {} threads; {runs}", curves.machine.cpu, curves.machine.threads);
    let title = format!("Work done since the start of the process: {}", curves.program);
    let _ = writeln!(out, "<title>{}</title>", escaped(&title));
    let _ = writeln!(
        out,
        "<text x=\"{0}\" y=\"30\" font-size=\"18\" font-weight=\"bold\">{1}</text>\n\
         <text x=\"{0}\" y=\"50\" fill=\"#666\">{2}</text>",
        x.from,
        escaped(&title),
        escaped(&machine)
    );
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">time since the start of the process</text>\n\
         <text transform=\"translate(22 {:.1}) rotate(-90)\" text-anchor=\"middle\">units of work done</text>",
        (x.from + x.to) / 2.0,
        y.from + 44.0,
        (y.from + y.to) / 2.0
    );
}

fn grid(out: &mut String, x: Axis, y: Axis) {
    let colour = |power: bool| if power { "#bbb" } else { "#eee" };
    for (time, power) in x.ticks() {
        let at = x.at(time);
        let name = if time < 0.9999 {
            format!("{} ms", (time * 1e6).round() / 1e3)
        } else {
            format!("{} s", time.round())
        };
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"{}\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{name}</text>",
            y.from,
            y.to,
            colour(power),
            y.from + 20.0
        );
    }
    for (units, power) in y.ticks() {
        let at = y.at(units);
        let _ =
            writeln!(out, "<path d=\"M{:.1} {at:.1}H{:.1}\" stroke=\"{}\"/>", x.from, x.to, colour(power));
        if power {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                x.from - 8.0,
                at + 4.5,
                grouped(units.round() as u64)
            );
        }
    }
}

/// Where a line ends, for its label.
struct End {
    x: f64,
    y: f64,
    label: String,
    colour: &'static str,
    ours: bool,
}

/// Draws one curve: ours as full lines, the others dashed.
fn line(out: &mut String, index: usize, curve: &Curve, x: Axis, y: Axis) -> Option<End> {
    let colour = COLOURS[index % COLOURS.len()];
    let at = |point: &crate::curve::Point| (x.at(point.seconds.median), y.at(point.units as f64));
    let mut path = String::new();
    for (index, point) in curve.points.iter().enumerate() {
        let (px, py) = at(point);
        let _ = write!(path, "{}{px:.1} {py:.1}", if index == 0 { 'M' } else { 'L' });
    }
    let style =
        if curve.ours { "stroke-width=\"2.5\"" } else { "stroke-width=\"1.5\" stroke-dasharray=\"6 3\"" };
    let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" {style}/>");
    for point in &curve.points {
        let (px, py) = at(point);
        let _ = writeln!(
            out,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2.2\" fill=\"{colour}\"><title>{}: {} after {:.2} ms</title></circle>",
            escaped(&curve.about.label),
            point.units,
            point.seconds.median * 1e3
        );
    }
    let (ex, ey) = at(curve.points.last()?);
    Some(End { x: ex, y: ey, label: curve.about.label.clone(), colour, ours: curve.ours })
}

/// Writes each curve's name beside its end, or as near as the other names allow.
fn labels(out: &mut String, mut ends: Vec<End>, edge: f64) {
    ends.sort_by(|a, b| a.y.total_cmp(&b.y));
    let heights = spread(&ends.iter().map(|end| end.y).collect::<Vec<_>>());
    for (end, height) in ends.iter().zip(heights) {
        let End { x, y, label, colour, ours } = end;
        let weight = if *ours { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {y:.1}L{:.1} {height:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.5\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\"{weight}>{}</text>",
            edge + 14.0,
            edge + 18.0,
            height + 4.5,
            escaped(label)
        );
    }
}

/// Moves what is too near to its neighbour, half up and half down. What comes in rising order leaves so.
fn spread(heights: &[f64]) -> Vec<f64> {
    // Groups of neighbours that have met, each around the mean of what its members wished.
    let mut groups: Vec<(f64, Vec<f64>)> = Vec::new();
    for (index, &height) in heights.iter().enumerate() {
        // A member wishes the group to be where it would itself be right.
        groups.push((height, vec![height]));
        while let [.., (above, upper), (below, lower)] = &mut groups[..] {
            let reach = LINE * (upper.len() + lower.len()) as f64 / 2.0;
            if *below - *above >= reach - 1e-9 {
                break;
            }
            upper.append(lower);
            let members = upper.len();
            let centre = upper.iter().sum::<f64>() / members as f64;
            *above = centre;
            groups.pop();
        }
        debug_assert_eq!(groups.iter().map(|group| group.1.len()).sum::<usize>(), index + 1);
    }
    let placed = groups.into_iter().flat_map(|(centre, members)| {
        let first = centre - LINE * (members.len() - 1) as f64 / 2.0;
        (0..members.len()).map(move |index| first + LINE * index as f64)
    });
    placed.collect()
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Point;
    use crate::report::{About, Machine};
    use crate::stats::Summary;

    fn curve(label: &str, ours: bool, points: &[(u64, f64)]) -> Curve {
        let point = |&(units, median): &(u64, f64)| Point {
            units,
            seconds: Summary { median, min: median, max: median },
        };
        let about = About { label: label.to_owned(), version: String::new(), command: String::new() };
        Curve { about, ours, points: points.iter().map(point).collect(), failure: None }
    }

    fn sample() -> Curves {
        Curves {
            machine: Machine { cpu: "aba<us".to_owned(), threads: 2, load: None },
            program: "curve".to_owned(),
            seconds: 4.0,
            runs: 3,
            curves: vec![
                curve("tiered", true, &[(1, 0.003), (1000, 3.9)]),
                curve("silent", false, &[]),
                curve("a&b", false, &[(1, 0.05), (1000, 4.0)]),
            ],
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_power_of_ten_is_as_long_everywhere() {
        let axis = Axis { low: 0.001, high: 10.0, from: 100.0, to: 500.0 };
        let at = [0.001, 0.01, 0.1, 1.0, 10.0].map(|value| axis.at(value).round());
        assert_eq!(at, [100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!((axis.at(1e-9), axis.at(1e9)), (100.0, 500.0));
        assert_eq!(axis.ticks().iter().filter(|(_, power)| *power).count(), 5);
    }

    #[test]
    fn labels_that_would_touch_move_apart_around_their_middle_and_keep_their_order() {
        assert_eq!(spread(&[10.0, 100.0]), [10.0, 100.0]);
        assert_eq!(spread(&[100.0, 100.0, 100.0]), [100.0 - LINE, 100.0, 100.0 + LINE]);
        // The pair makes room for itself and so pushes the third.
        let moved = spread(&[100.0, 100.0, 100.0 + LINE]);
        assert!(moved.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{moved:?}");
    }

    #[test]
    fn the_drawing_has_a_line_and_a_name_for_each_engine_that_did_something() {
        let drawing = draw(&sample());
        assert_eq!(drawing.matches("fill=\"none\"").count(), 2);
        assert_eq!(drawing.matches("<circle").count(), 4);
        assert!(drawing.contains(">tiered</text>") && !drawing.contains("silent"));
        assert!(drawing.contains("tiered: 1000 after 3900.00 ms"));
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let drawing = draw(&sample());
        assert!(drawing.contains("a&amp;b") && drawing.contains("aba&lt;us"));
    }

    #[test]
    fn the_drawing_needs_nothing_but_itself() {
        let drawing = draw(&sample()).replace("http://www.w3.org/2000/svg", "");
        assert!(!drawing.contains("http") && !drawing.contains("href"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([1, 999, 1000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }
}
