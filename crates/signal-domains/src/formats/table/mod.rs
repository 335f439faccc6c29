//! What the columns of a table (Parquet, Arrow) are as signals.
//!
//! A column of numbers is a signal with a sample in each row. A column of lists is a recording in each row: `x{1}`,
//! `x{2}` .. (cells of a MAT file are named so too), or `x` where there is one row; the row's other columns are its
//! attributes. What the file or the column states of itself by keys and texts is an attribute of every one; a key
//! `x.unit` is of column `x` alone.

pub(in crate::formats) mod unpack;

use super::listing::{Full, Listing};
use super::source::Source;
use super::text::is_time_name;
use super::{Limits, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Longest text of an attribute, in characters, and most attributes of a variable.
const MOST_TEXT: usize = 512;
const MOST_ATTRIBUTES: usize = 128;
/// Longest JSON text of attributes that is looked into, in bytes.
const MOST_JSON: usize = 1 << 16;

/// A column; `At` is where a reader finds a list.
pub(super) struct Column<At> {
    pub name: String,
    pub kind: &'static str,
    pub content: Content<At>,
    /// What it states of itself.
    pub stated: Vec<(String, String)>,
}

pub(super) enum Content<At> {
    /// One number a row.
    Numbers,
    /// A list of numbers a row: how many, and where.
    Lists(Vec<(usize, At)>),
    /// What is not read as a signal, and why where that needs saying.
    Other(Option<&'static str>),
}

/// Where a variable is: in a column, or in a list of one.
#[derive(Clone, Copy)]
pub(super) enum Spot<At> {
    None,
    Column(usize),
    List(usize, At),
}

/// A column as attributes of its rows: its name, and the value of each row.
pub(super) type Values = (String, Vec<Option<Attribute>>);

/// Lists the variables of a table of `rows`; `stated` is what the file says of itself, `beside` the columns that are no
/// lists, where there are lists.
pub(super) fn list<At: Copy>(
    source: &Source,
    limits: &Limits,
    rows: usize,
    columns: Vec<Column<At>>,
    stated: &[(String, String)],
    beside: &[Values],
) -> Result<Listing<Spot<At>>> {
    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    let of_all: Vec<(String, Attribute)> = stated.iter().flat_map(|(key, text)| attributes(key, text)).collect();
    let mut listing = Listing::new(limits, source.len());
    let full = |Full| Error::limit(source.path(), Full::MESSAGE);
    for (index, column) in columns.into_iter().enumerate() {
        let mut variable = Variable::other(&column.name, vec![rows], column.kind);
        for (key, value) in &of_all {
            match key.split_once('.') {
                Some((of, key)) if of == column.name => state(&mut variable, key, value.clone()),
                Some((of, _)) if names.iter().any(|name| name == of) => {}
                _ => state(&mut variable, key, value.clone()),
            }
        }
        for (key, value) in column.stated.iter().flat_map(|(key, text)| attributes(key, text)) {
            state(&mut variable, &key, value);
        }
        match column.content {
            Content::Other(reason) => {
                variable.reason = reason.map(str::to_owned);
                listing.push(variable, Spot::None).map_err(full)?;
            }
            Content::Numbers => {
                variable.numeric = true;
                variable.time = is_time_name(&variable.name);
                variable.take_rate_and_unit();
                listing.push(variable, Spot::Column(index)).map_err(full)?;
            }
            Content::Lists(lists) => {
                let before = listing.len();
                variable.numeric = true;
                let one = lists.len() == 1;
                let pushed = lists.iter().enumerate().try_for_each(|(row, &(len, at))| {
                    let mut variable = variable.clone();
                    variable.shape = vec![len];
                    if !one {
                        variable.name = format!("{}{{{}}}", variable.name, row + 1);
                    }
                    for (name, values) in beside {
                        if let Some(value) = &values[row] {
                            state(&mut variable, name, value.clone());
                        }
                    }
                    variable.take_rate_and_unit();
                    listing.push(variable, Spot::List(index, at))
                });
                if pushed.is_err() {
                    // too many to list hide nothing else
                    listing.truncate(before);
                    variable.numeric = false;
                    variable.reason = Some("it has more lists than are listed for a file of this size".into());
                    listing.push(variable, Spot::None).map_err(full)?;
                }
            }
        }
    }
    Ok(listing)
}

fn state(variable: &mut Variable, key: &str, value: Attribute) {
    if variable.attributes.len() < MOST_ATTRIBUTES {
        variable.attributes.insert(key.to_owned(), value);
    }
}

/// A text as an attribute, unless it is long.
pub(super) fn text(text: &str) -> Option<Attribute> {
    // bytes first: a long text is not counted
    (text.len() <= 4 * MOST_TEXT && text.chars().count() <= MOST_TEXT).then(|| Attribute::Text(text.to_owned()))
}

/// What a key and its text state: a number where the text is one; what pandas keeps of `DataFrame.attrs`; nothing where it
/// is how other programs describe the same columns.
fn attributes(key: &str, value: &str) -> Vec<(String, Attribute)> {
    match key {
        "ARROW:schema" | "pandas" | "org.apache.spark.sql.parquet.row.metadata" => Vec::new(),
        "PANDAS_ATTRS" if value.len() <= MOST_JSON => {
            let Ok(serde_json::Value::Object(stated)) = serde_json::from_str(value) else {
                return Vec::new();
            };
            let attribute = |value| match value {
                serde_json::Value::Bool(flag) => Some(Attribute::Flag(flag)),
                serde_json::Value::Number(number) => number.as_f64().map(Attribute::Number),
                serde_json::Value::String(string) => text(&string),
                _ => None,
            };
            let pairs = stated.into_iter().map(|(key, value)| (key, attribute(value)));
            pairs.filter_map(|(key, value)| Some((key, value?))).collect()
        }
        _ => {
            let number = value.trim().parse::<f64>().ok().filter(|n| n.is_finite());
            let value = number.map(Attribute::Number).or_else(|| text(value));
            value.into_iter().map(|value| (key.to_owned(), value)).collect()
        }
    }
}
