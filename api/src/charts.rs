//! Charts, drawn on the server as SVG by `plotters`: no script, and a table stands beside
//! each on the page. Colours are placeholders that the style sheet maps to the reader's
//! scheme (`svg.chart [fill="#…"]`).

use greffe_domain::date::LegalDate;
use plotters::prelude::*;

use crate::http::pages::Frame;

/// Recorded facts; the style sheet knows it as the accent.
const RECORDED: RGBColor = RGBColor(0x10, 0x10, 0xf0);
/// What was only planned.
const PLANNED: RGBColor = RGBColor(0xf0, 0x10, 0x10);
const INK: RGBColor = RGBColor(0x10, 0x10, 0x10);
const LINE: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

const WIDTH: u32 = 680;
const HEIGHT: u32 = 300;

/// How many there were from a day on.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub day: LegalDate,
    pub count: usize,
}

/// Sites enrolled over time, and how many were planned by when. `None`: nothing dated.
pub fn sites(frame: &Frame, steps: &[Step], planned: &[(LegalDate, usize)]) -> Option<String> {
    let days = || steps.iter().map(|s| s.day).chain(planned.iter().map(|(day, _)| *day));
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
            .label_style(("sans-serif", 14).into_font().color(&INK))
            .x_labels(5)
            .y_labels(6)
            .x_label_formatter(&|days| month(frame, origin.add_days(*days)))
            .draw()
            .ok()?;
        let mut line = vec![(0, 0)];
        for step in steps {
            let (day, count) = (x(step.day), i32::try_from(step.count).ok()?);
            line.push((day, line.last().map_or(0, |(_, n)| *n)));
            line.push((day, count));
        }
        line.push((end, line.last().map_or(0, |(_, n)| *n)));
        chart.draw_series(LineSeries::new(line, RECORDED.stroke_width(3))).ok()?;
        for (day, count) in planned {
            let at = (x(*day), i32::try_from(*count).ok()?);
            chart.draw_series([Circle::new(at, 6, PLANNED.filled())]).ok()?;
        }
        area.present().ok()?;
    }
    Some(marked(&svg, &frame.t("chart-sites")))
}

fn month(frame: &Frame, day: LegalDate) -> String {
    let _ = frame;
    format!("{:02}/{}", day.month(), day.year())
}

/// With a class for the style sheet, a name for who cannot see it, and no size of its own.
fn marked(svg: &str, title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    svg.replacen(
        &format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\""),
        &format!("<svg class=\"chart\" role=\"img\" aria-label=\"{title}\""),
        1,
    )
}
