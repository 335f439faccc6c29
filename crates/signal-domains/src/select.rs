//! Which channel of a file a key means.

use std::path::Path;

use globset::GlobBuilder;

use crate::error::{Error, Result};
use crate::formats::Variable;

/// A channel of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub variable: usize,
    pub channel: usize,
}

/// The one channel that `key` means: an exact name, else a glob over the names of numeric arrays, of which those with
/// more than one sample count if there are several; `#N` at the end takes the N-th channel of what matches.
pub(crate) fn pick(path: &Path, variables: &[Variable], key: &str) -> Result<Chosen> {
    if let [only] = named(variables, key)[..] {
        let variable = &variables[only];
        if !variable.numeric {
            let message = format!("{}; {}", no_numbers(variable), present(variables));
            return Err(Error::variable(path, message));
        }
        if variable.channels() == 1 {
            return Ok(Chosen {
                variable: only,
                channel: 0,
            });
        }
    }
    let (pattern, number) = match key.rsplit_once('#').map(|(p, n)| (p, n.parse::<usize>())) {
        Some((p, Ok(n))) if n > 0 => (if p.is_empty() { "*" } else { p }, Some(n)),
        _ => (key, None),
    };
    let channels: Vec<Chosen> = matching(variables, pattern)?
        .into_iter()
        .flat_map(|variable| (0..variables[variable].channels()).map(move |channel| Chosen { variable, channel }))
        .collect();
    let describe = |c: &Chosen| match variables[c.variable].channels() {
        1 => variables[c.variable].describe(),
        _ => format!(
            "{}#{} of {}",
            variables[c.variable].name,
            c.channel + 1,
            variables[c.variable].describe()
        ),
    };
    match (number, &channels[..]) {
        (None, [only]) => Ok(*only),
        (_, []) => {
            let wanted = if pattern == "*" {
                "numeric array with more than one sample".into()
            } else {
                format!("numeric variable {pattern:?}")
            };
            Err(Error::variable(path, format!("no {wanted}; {}", present(variables))))
        }
        (Some(n), _) => channels.get(n - 1).copied().ok_or_else(|| {
            Error::variable(
                path,
                format!(
                    "key {key:?} asks for channel {n}, {pattern:?} has {}; {}",
                    channels.len(),
                    present(variables)
                ),
            )
        }),
        (None, several) => {
            let list = shorten(several.iter().map(describe).collect());
            Err(Error::variable(
                path,
                format!(
                    "key {key:?} fits {} channels: {list}; name one, or take the N-th as \"{pattern}#N\"",
                    several.len()
                ),
            ))
        }
    }
}

/// Why a variable cannot be read.
pub(crate) fn no_numbers(variable: &Variable) -> String {
    let reason = variable.reason.as_ref().map_or(String::new(), |r| format!(": {r}"));
    format!(
        "variable {} holds no real numbers that can be read{reason}",
        variable.describe()
    )
}

fn named(variables: &[Variable], name: &str) -> Vec<usize> {
    let bare = name.trim_start_matches('/');
    (0..variables.len())
        .filter(|&i| variables[i].name == name || variables[i].name == bare)
        .collect()
}

fn matching(variables: &[Variable], pattern: &str) -> Result<Vec<usize>> {
    let mut found = named(variables, pattern);
    if found.is_empty() && pattern == "*" {
        // the usual one, of thousands of files: no glob is built
        found = (0..variables.len()).collect();
    } else if found.is_empty() {
        let glob = GlobBuilder::new(pattern.trim_start_matches('/'))
            .build()
            .map_err(|e| Error::Argument(format!("key {pattern:?} is not a name or a glob: {}", e.kind())))?
            .compile_matcher();
        found = (0..variables.len())
            .filter(|&i| glob.is_match(&variables[i].name))
            .collect();
    }
    found.retain(|&i| variables[i].numeric);
    if pattern == "*" || found.len() > 1 {
        found.retain(|&i| variables[i].is_signal());
    }
    Ok(found)
}

fn present(variables: &[Variable]) -> String {
    if variables.is_empty() {
        return "the file holds no variables".into();
    }
    format!(
        "present are {}",
        shorten(variables.iter().map(Variable::describe).collect())
    )
}

/// At most twenty of a list.
fn shorten(mut list: Vec<String>) -> String {
    let more = list.len().saturating_sub(20);
    list.truncate(20);
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list.join(", ")
}
