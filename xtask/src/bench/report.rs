//! The figures as a table and as JSON.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    AtLeast(f64),
    AtMost(f64),
}

impl Reach {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {bound}"),
            Self::AtMost(bound) => format!("<= {bound}"),
        }
    }
}

/// One line of the table.
pub(super) struct Row {
    pub(super) work: &'static str,
    pub(super) ours: String,
    pub(super) against: String,
    /// The figure that counts: a ratio where there is a rival.
    pub(super) figure: f64,
    pub(super) unit: &'static str,
    pub(super) reach: Reach,
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "work": self.work,
            "ours": self.ours,
            "against": self.against,
            "figure": self.figure,
            "unit": self.unit,
            "reach": self.reach.text(),
            "holds": self.reach.holds(self.figure),
        })
    }
}

/// Prints one line a row.
pub(super) fn print(rows: &[Row]) {
    println!();
    println!(
        "{:<44} {:>12} {:>10}  {:<5} ours | against",
        "WORK", "FIGURE", "REACH", "HOLDS"
    );
    for row in rows {
        let figure = format!("{:.2} {}", row.figure, row.unit);
        let holds = if row.reach.holds(row.figure) {
            "yes"
        } else {
            "NO"
        };
        println!(
            "{:<44} {figure:>12} {:>10}  {holds:<5} {} | {}",
            row.work,
            row.reach.text(),
            row.ours,
            row.against
        );
    }
}

/// Writes the rows as JSON.
pub(super) fn write(rows: &[Row], file: &Path) -> Result<()> {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(
        file,
        serde_json::to_vec_pretty(&json!({ "results": rows }))?,
    )?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

/// The middle one of some figures; the mean of the two in the middle if their number is even.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match (
        figures.get(middle),
        middle.checked_sub(1).and_then(|below| figures.get(below)),
    ) {
        (Some(upper), Some(lower)) if figures.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(upper), _) => *upper,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
