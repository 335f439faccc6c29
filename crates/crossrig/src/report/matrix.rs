//! Confusion matrices.

use super::palette::{INK, MUTED};
use super::svg::{Anchor, Svg, Text, shorten, width};

const WIDTH: f64 = 520.0;
/// Most characters of a class name.
const NAME: usize = 16;
/// The colour of a full cell; white is the colour of an empty one.
const FULL: [f64; 3] = [8.0, 81.0, 156.0];
/// Classes up to which a matrix fits half the page.
pub const SMALL: usize = 12;

/// The drawing of counts (row: truth, column: prediction), shaded by the share of the row.
pub fn draw(counts: &[Vec<u64>], names: &[String], label: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| shorten(name, NAME)).collect();
    let longest = names.iter().map(|name| width(name, 11.0)).fold(0.0, f64::max);
    let total = if counts.len() > SMALL { 2.0 * WIDTH } else { WIDTH };
    let (left, top) = (longest + 34.0, 6.0);
    let cell = ((total - left - 6.0) / counts.len().max(1) as f64).min(72.0);
    let side = cell * counts.len() as f64;
    // column names lean at 45 degrees below the matrix
    let lean = longest * std::f64::consts::FRAC_1_SQRT_2;
    let mut svg = Svg::new(total, top + side + lean + 38.0);

    for (i, row) in counts.iter().enumerate() {
        let all: u64 = row.iter().sum();
        let y = top + cell * i as f64;
        svg.text(&Text {
            colour: INK,
            ..Text::new(left - 8.0, y + 0.5 * cell + 4.0, &names[i], Anchor::End)
        });
        for (j, &count) in row.iter().enumerate() {
            let x = left + cell * j as f64;
            let share = if all > 0 { count as f64 / all as f64 } else { 0.0 };
            svg.rect(
                x,
                y,
                cell,
                cell,
                &format!(r##"fill="{}" stroke="#d8dee4""##, shade(share)),
            );
            if count > 0 {
                cell_text(&mut svg, x + 0.5 * cell, y + 0.5 * cell, cell, count, share);
            }
        }
        if all == 0 {
            let place = Text::new(
                left + 0.5 * side,
                y + 0.5 * cell + 4.0,
                "absent from the scored windows",
                Anchor::Middle,
            );
            svg.text(&Text { size: 10.0, ..place });
        }
        let x = left + cell * i as f64 + 0.5 * cell;
        let place = Text::new(x + 4.0, top + side + 12.0, &names[i], Anchor::End);
        svg.text(&Text {
            colour: INK,
            turn: -45.0,
            ..place
        });
    }
    for i in 0..counts.len() {
        let at = cell * i as f64;
        svg.rect(
            left + at,
            top + at,
            cell,
            cell,
            r##"fill="none" stroke="#57606a" stroke-width="1.5""##,
        );
    }
    let axis = |x, y, text, turn| Text {
        bold: true,
        turn,
        ..Text::new(x, y, text, Anchor::Middle)
    };
    svg.text(&axis(
        left + 0.5 * side,
        top + side + lean + 32.0,
        "predicted class",
        0.0,
    ));
    svg.text(&axis(13.0, top + 0.5 * side, "true class", -90.0));
    svg.finish(label)
}

fn cell_text(svg: &mut Svg, x: f64, y: f64, cell: f64, count: u64, share: f64) {
    let dark = share > 0.65;
    let place = |y, size| Text {
        size,
        ..Text::new(x, y, "", Anchor::Middle)
    };
    let percent = if share > 0.0 && share < 0.005 {
        "<1".to_owned()
    } else {
        format!("{:.0}", 100.0 * share)
    };
    let (first, second) = if dark {
        ("#ffffff", "#ffffff")
    } else {
        (INK, if share > 0.2 { INK } else { MUTED })
    };
    let both = cell >= 26.0;
    let size = (0.32 * cell).clamp(8.0, 13.0);
    let up = if both { y } else { y + 0.35 * size };
    svg.text(&Text {
        content: &percent,
        colour: first,
        bold: true,
        ..place(up, size)
    });
    if both {
        let digits = count.to_string();
        // long counts must stay inside their cell
        let small = (0.8 * size).min(cell / (0.62 * digits.len() as f64)).max(6.0);
        svg.text(&Text {
            content: &digits,
            colour: second,
            ..place(y + 0.95 * size, small)
        });
    }
}

fn shade(share: f64) -> String {
    let mix = |full: f64| (255.0 + (full - 255.0) * share).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(FULL[0]), mix(FULL[1]), mix(FULL[2]))
}
