//! Charts, drawn on the server as SVG by `plotters`: no script, and a table stands beside
//! each on the page. Colours are placeholders that the style sheet maps to the reader's
//! scheme (`svg.chart [fill="#…"]`).

use greffe_domain::date::LegalDate;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::http::pages::Frame;

/// Recorded facts; the style sheet knows it as the accent.
const RECORDED: RGBColor = RGBColor(0x10, 0x10, 0xf0);
/// What an act allows.
const ALLOWED: RGBColor = RGBColor(0x10, 0xb0, 0x10);
/// What was only planned.
const PLANNED: RGBColor = RGBColor(0xf0, 0x10, 0x10);
const INK: RGBColor = RGBColor(0x10, 0x10, 0x10);
const LINE: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);
/// What text on a coloured ground is written in.
const PAPER: RGBColor = RGBColor(0xfa, 0xfa, 0xfa);

/// Drawn for a telephone, where it is shown at about its own size; wider screens enlarge it.
const WIDTH: u32 = 440;
const HEIGHT: u32 = 280;
/// Of text, as plotters counts it.
const TEXT: i32 = 17;

/// Verdicts as charts stack them, from the ground up, and what each is drawn in.
pub const STACK: [(&str, RGBColor); 4] = [
    ("COVERED", RGBColor(0x10, 0xb0, 0x10)),
    ("COVERED-WITH-RESERVATIONS", RGBColor(0xb0, 0xb0, 0x10)),
    ("UNDETERMINED", RGBColor(0x10, 0x10, 0xb0)),
    ("NOT-COVERED", RGBColor(0xb0, 0x10, 0x10)),
];

/// What a reader who does not see a chart is told of it.
pub struct Caption<'a> {
    pub title: &'a str,
    pub desc: &'a str,
}

/// One column: a period, and how many accesses of each verdict, as `STACK` orders them.
#[derive(Debug, Clone)]
pub struct Column {
    pub label: String,
    pub parts: [u64; 4],
}

/// One bar: what it counts, how many, and how many of them are of the second sort.
#[derive(Debug, Clone)]
pub struct Bar {
    pub label: String,
    pub first: u64,
    pub second: u64,
}

/// A day on which something was filed or decided, as a letter over the line.
#[derive(Debug, Clone)]
pub struct Mark {
    pub day: LegalDate,
    pub letter: char,
}

/// How many there were from a day on.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub day: LegalDate,
    pub count: usize,
}

/// What a chart of an experiment's sites shows.
pub struct Series<'a> {
    /// Sites enrolled, by whoever says so.
    pub enrolled: &'a [Step],
    /// Those of them that an act allows.
    pub allowed: &'a [Step],
    /// How many were planned by when.
    pub planned: &'a [(LegalDate, usize)],
    pub marks: &'a [Mark],
}

/// Sites enrolled over time, those allowed, those planned, and the days marked. `None`:
/// nothing dated.
pub fn sites(frame: &Frame, series: &Series<'_>) -> Option<String> {
    let Series { enrolled: steps, allowed, planned, marks } = *series;
    let days = || {
        let planned = planned.iter().map(|(day, _)| *day);
        steps.iter().map(|s| s.day).chain(planned).chain(marks.iter().map(|m| m.day))
    };
    let (first, last) = (days().min()?, days().max()?);
    let origin = LegalDate::from_ymd(first.year(), first.month(), 1)?.add_days(-31);
    let x = |day: LegalDate| day.days_since(origin);
    let end = x(last) + 31;
    let top = steps.iter().map(|s| s.count).chain(planned.iter().map(|(_, n)| *n)).max()?;
    let top = i32::try_from(top).ok()?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_top(26)
            .margin_right(24)
            .x_label_area_size(32)
            .y_label_area_size(36)
            .build_cartesian_2d(0..end, 0..top + top / 10 + 1)
            .ok()?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(LINE)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TEXT).into_font().color(&INK))
            .x_labels(4)
            .y_labels(6)
            .x_label_formatter(&|days| month(frame, origin.add_days(*days)))
            .draw()
            .ok()?;
        let line = |steps: &[Step]| {
            let mut line = vec![(0, 0)];
            let mut last = 0;
            for step in steps {
                let (day, count) = (x(step.day), i32::try_from(step.count).ok()?);
                line.extend([(day, last), (day, count)]);
                last = count;
            }
            line.push((end, last));
            Some(line)
        };
        chart.draw_series(LineSeries::new(line(steps)?, RECORDED.stroke_width(3))).ok()?;
        // Dashed, so that colour is not alone in telling it apart.
        let dashes = DashedLineSeries::new(line(allowed)?, 9, 6, ALLOWED.stroke_width(3));
        chart.draw_series(dashes).ok()?;
        for (day, count) in planned {
            let at = (x(*day), i32::try_from(*count).ok()?);
            chart.draw_series([Circle::new(at, 6, PLANNED.filled())]).ok()?;
        }
        let letter = text_style(INK, HPos::Center, VPos::Bottom);
        for mark in marks {
            let (left, ground) = chart.backend_coord(&(x(mark.day), 0));
            let (_, sky) = chart.backend_coord(&(x(mark.day), top + top / 10 + 1));
            area.draw(&PathElement::new([(left, sky), (left, ground)], INK.stroke_width(1)))
                .ok()?;
            area.draw(&Text::new(mark.letter.to_string(), (left, sky - 3), letter.clone())).ok()?;
        }
        area.present().ok()?;
    }
    let last = |steps: &[Step]| steps.last().map_or(0, |s| s.count);
    let desc = frame
        .with("chart-sites-desc", &[("n", last(steps).into()), ("allowed", last(allowed).into())]);
    Some(marked(&svg, (WIDTH, HEIGHT), &Caption { title: &frame.t("chart-sites"), desc: &desc }))
}

fn text_style(colour: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&colour).pos(Pos::new(across, down))
}

/// Accesses of each period, one column a period, stacked by verdict. Each part that is high
/// enough carries its letter, so that colour is not alone in telling them apart. `None`:
/// no columns.
pub fn stacked(frame: &Frame, caption: &Caption<'_>, columns: &[Column]) -> Option<String> {
    let top = columns.iter().map(|c| c.parts.iter().sum::<u64>()).max().filter(|n| *n > 0)?;
    let top = i32::try_from(top).unwrap_or(i32::MAX / 2);
    let top = top + top / 12 + 1;
    // A few columns stay columns.
    let wide = i32::try_from(columns.len().max(4)).ok()? * 10;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(30)
            .y_label_area_size(44)
            .build_cartesian_2d(0..wide, 0..top)
            .ok()?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .bold_line_style(LINE)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TEXT).into_font().color(&INK))
            .y_labels(5)
            .y_label_formatter(&|n| n.to_string())
            .draw()
            .ok()?;
        let under = text_style(INK, HPos::Center, VPos::Top);
        let inside = text_style(PAPER, HPos::Center, VPos::Center);
        for (i, column) in columns.iter().enumerate() {
            let left = i32::try_from(i).ok()? * 10;
            let mut ground = 0;
            for ((verdict, colour), n) in STACK.iter().zip(column.parts) {
                let n = i32::try_from(n).unwrap_or(top);
                if n == 0 {
                    continue;
                }
                let corners = [(left + 1, ground), (left + 9, ground + n)];
                chart.draw_series([Rectangle::new(corners, colour.filled())]).ok()?;
                let (centre, bottom) = chart.backend_coord(&(left + 5, ground));
                let (_, sky) = chart.backend_coord(&(left + 5, ground + n));
                if bottom - sky >= TEXT {
                    let letter = frame.t(&format!("verdict-mark-{verdict}")).into_owned();
                    let at = (centre, (bottom + sky) / 2);
                    area.draw(&Text::new(letter, at, inside.clone())).ok()?;
                }
                ground += n;
            }
            let (centre, bottom) = chart.backend_coord(&(left + 5, 0));
            area.draw(&Text::new(column.label.clone(), (centre, bottom + 6), under.clone()))
                .ok()?;
        }
        area.present().ok()?;
    }
    Some(marked(&svg, (WIDTH, HEIGHT), caption))
}

/// One bar a line, its words over it and its number after it; of the number, the second sort
/// is drawn hollow. `None`: no bars.
pub fn bars(caption: &Caption<'_>, bars: &[Bar]) -> Option<String> {
    const LINE_HEIGHT: i32 = 44;
    const THICK: i32 = 15;
    let top = bars.iter().map(|b| b.first + b.second).max().filter(|n| *n > 0)?;
    let height = u32::try_from(i32::try_from(bars.len()).ok()? * LINE_HEIGHT + 8).ok()?;
    let room = u64::from(WIDTH) - 80;
    let length = |n: u64| i32::try_from(n * room / top).unwrap_or(0);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let over = text_style(INK, HPos::Left, VPos::Top);
        let after = text_style(INK, HPos::Left, VPos::Center);
        for (i, bar) in bars.iter().enumerate() {
            let line = i32::try_from(i).ok()? * LINE_HEIGHT + 4;
            let (sky, ground) = (line + 20, line + 20 + THICK);
            let (first, both) = (length(bar.first), length(bar.first + bar.second).max(1));
            area.draw(&Text::new(bar.label.clone(), (2, line), over.clone())).ok()?;
            area.draw(&Rectangle::new([(2, sky), (2 + first, ground)], RECORDED.filled())).ok()?;
            if bar.second > 0 {
                let corners = [(2 + first, sky), (2 + both, ground)];
                area.draw(&Rectangle::new(corners, RECORDED.stroke_width(2))).ok()?;
            }
            let number = (bar.first + bar.second).to_string();
            area.draw(&Text::new(number, (10 + both, (sky + ground) / 2), after.clone())).ok()?;
        }
        area.present().ok()?;
    }
    Some(marked(&svg, (WIDTH, height), caption))
}

fn month(frame: &Frame, day: LegalDate) -> String {
    let _ = frame;
    format!("{:02}/{}", day.month(), day.year())
}

/// With a class for the style sheet, a name and a description for who cannot see it, and no
/// size of its own.
fn marked(svg: &str, (width, height): (u32, u32), caption: &Caption<'_>) -> String {
    let plain = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let (title, desc) = (plain(caption.title), plain(caption.desc));
    let svg = svg.replacen(
        &format!("<svg width=\"{width}\" height=\"{height}\""),
        &format!("<svg class=\"chart\" role=\"img\" aria-label=\"{title}\""),
        1,
    );
    let svg = svg.replacen('>', &format!("><title>{title}</title><desc>{desc}</desc>"), 1);
    // What stands at every element and changes nothing.
    svg.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "").replace("\n", "")
}
