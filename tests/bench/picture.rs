//! A picture of how time grows with the number of tenants, as SVG.

use std::fmt::Write as _;

use crate::growth::Line;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 2] = ["#1f60c4", "#8e8e8e"];
const STEPS: u32 = 4;

/// Tenants to the right, by powers of ten; milliseconds a tenant upwards, from zero.
pub fn of(lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let least = points().map(|p| p.0).fold(f64::INFINITY, f64::min).log10();
    let most = points().map(|p| p.0).fold(0.0, f64::max).log10();
    let highest = points().map(|p| p.1).fold(1.0, f64::max).ceil();
    let span = if most > least { most - least } else { 1.0 };
    let x = |tenants: f64| LEFT + (tenants.log10() - least) / span * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    let mut put = |line: String| {
        // Writing to a String can't fail.
        let _ = writeln!(svg, "{line}");
    };
    for step in 0..=STEPS {
        let value = highest * f64::from(step) / f64::from(STEPS);
        let at = y(value);
        put(format!(
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        ));
    }
    if let Some(line) = lines.first() {
        for (tenants, _) in &line.points {
            put(format!(
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tenants}</text>",
                x(*tenants),
                HEIGHT - BOTTOM + 20.0
            ));
        }
    }
    for (number, (line, colour)) in lines.iter().zip(COLOURS).enumerate() {
        let path: Vec<_> = line
            .points
            .iter()
            .map(|(tenants, value)| format!("{:.1},{:.1}", x(*tenants), y(*value)))
            .collect();
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        ));
        for (tenants, value) in &line.points {
            put(format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*tenants),
                y(*value)
            ));
        }
        put(format!(
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            LEFT + 10.0 + 120.0 * number as f64,
            TOP - 10.0,
            line.name
        ));
    }
    put(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">tenants</text>",
        f64::midpoint(LEFT, WIDTH),
        HEIGHT - 8.0
    ));
    put(format!(
        "<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">ms a tenant</text>\n</svg>",
        HEIGHT / 2.0
    ));
    svg
}
