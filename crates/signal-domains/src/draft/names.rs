//! What varies in the names of files, as a pattern with named groups.

use std::collections::{BTreeMap, BTreeSet};

/// A part of the names that varies.
pub(super) struct Group {
    pub name: String,
    /// Its values, in alphabetical order.
    pub values: BTreeSet<String>,
    /// Whether the name is no more than a guess.
    pub guess: bool,
}

/// How files are named.
pub(super) struct Naming {
    /// A regular expression over their paths; `None`: nothing varies.
    pub pattern: Option<String>,
    pub groups: Vec<Group>,
    /// Files that are named otherwise.
    pub others: Vec<String>,
    pub remarks: Vec<String>,
}

/// A piece of a path: a word, what stands between words, or a folder whose names are not built alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Between(String),
    Word(String),
    Folder(String),
}

/// One place in all names: what is there in each.
struct Place<'a> {
    values: Vec<&'a str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Between,
    Letters,
    Digits,
    Mixed,
    Folder,
}

impl Naming {
    /// The naming that most of the files follow.
    pub fn of(files: &[String]) -> Self {
        // files of one shape: as many folders, and names that are built alike
        let mut shapes: BTreeMap<(usize, Vec<Option<String>>), Vec<usize>> = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            let (folders, name) = stem(file).rsplit_once('/').unwrap_or(("", stem(file)));
            let depth = folders.split('/').filter(|f| !f.is_empty()).count();
            shapes.entry((depth, shape(&pieces(name)))).or_default().push(i);
        }
        let most = shapes.values().map(Vec::len).max().unwrap_or(0);
        let Some(members) = shapes.values().find(|members| members.len() == most) else {
            return Self::nothing();
        };
        let paths: Vec<&str> = members.iter().map(|&i| stem(&files[i])).collect();
        let members: Vec<(usize, Vec<Piece>)> = members.iter().copied().zip(all_pieces(&paths)).collect();
        let mine: BTreeSet<usize> = members.iter().map(|(i, _)| *i).collect();
        let others = (0..files.len())
            .filter(|i| !mine.contains(i))
            .map(|i| files[i].clone())
            .collect();
        let names: Vec<&[Piece]> = members.iter().map(|(_, pieces)| pieces.as_slice()).collect();
        let places = places(&names);
        if places.iter().all(|p| !p.varies()) {
            return Self {
                others,
                ..Self::nothing()
            };
        }
        let roles = roles(&places, members.len());
        let mut naming = Self {
            pattern: Some(pattern(&places, &roles)),
            groups: Vec::new(),
            others,
            remarks: Vec::new(),
        };
        for (place, role) in places.iter().zip(&roles) {
            for (name, guess) in role.iter().flat_map(|r| &r.names) {
                naming.groups.push(Group {
                    name: name.clone(),
                    values: place.values.iter().map(|v| (*v).to_owned()).collect(),
                    guess: *guess,
                });
            }
        }
        if naming.others.len() > members.len() {
            let remark = format!(
                "files are named in {} ways; `pattern` is that of {} of them",
                shapes.len(),
                members.len()
            );
            naming.remarks.push(remark);
        }
        naming
    }

    fn nothing() -> Self {
        Self {
            pattern: None,
            groups: Vec::new(),
            others: Vec::new(),
            remarks: vec!["nothing varies in the names of the files that could be a label".into()],
        }
    }
}

/// What stands between the words.
fn shape(pieces: &[Piece]) -> Vec<Option<String>> {
    let between = |p: &Piece| match p {
        Piece::Between(text) => Some(text.clone()),
        Piece::Word(_) | Piece::Folder(_) => None,
    };
    pieces.iter().map(between).collect()
}

/// The pieces of paths of one shape. Folders of one level that are not built alike are one piece each.
fn all_pieces(paths: &[&str]) -> Vec<Vec<Piece>> {
    let split: Vec<Vec<&str>> = paths.iter().map(|p| p.split('/').collect()).collect();
    let mut all: Vec<Vec<Piece>> = vec![Vec::new(); paths.len()];
    for level in 0..split[0].len() {
        let here: Vec<Vec<Piece>> = split.iter().map(|s| pieces(s[level])).collect();
        let alike = here.iter().all(|p| shape(p) == shape(&here[0]));
        for ((all, here), names) in all.iter_mut().zip(here).zip(&split) {
            if level > 0 {
                all.push(Piece::Between("/".into()));
            }
            if alike {
                all.extend(here);
            } else {
                all.push(Piece::Folder(names[level].into()));
            }
        }
    }
    all
}

/// A path without its ending.
fn stem(file: &str) -> &str {
    let name = file.rfind('/').map_or(0, |at| at + 1);
    file[name..].rfind('.').map_or(file, |dot| &file[..name + dot])
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for c in text.chars() {
        let word = c.is_alphanumeric();
        match pieces.last_mut() {
            Some(Piece::Word(text)) if word => text.push(c),
            Some(Piece::Between(text)) if !word => text.push(c),
            _ if word => pieces.push(Piece::Word(c.into())),
            _ => pieces.push(Piece::Between(c.into())),
        }
    }
    pieces
}

/// The places of names of one shape. A word whose letters and digits alternate alike in all names is several places.
fn places<'a>(names: &[&'a [Piece]]) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for at in 0..names.first().map_or(0, |n| n.len()) {
        let text = |name: &&'a [Piece]| match &name[at] {
            Piece::Between(text) | Piece::Word(text) | Piece::Folder(text) => text.as_str(),
        };
        let values: Vec<&str> = names.iter().map(text).collect();
        if matches!(names[0][at], Piece::Between(_)) {
            places.push(Place {
                values,
                kind: Kind::Between,
            });
            continue;
        }
        if matches!(names[0][at], Piece::Folder(_)) {
            places.push(Place {
                values,
                kind: Kind::Folder,
            });
            continue;
        }
        let runs: Vec<Vec<&str>> = values.iter().map(|v| runs_of(v)).collect();
        let kinds = |runs: &[&str]| runs.iter().map(|r| kind(r)).collect::<Vec<_>>();
        let first = kinds(&runs[0]);
        if runs.iter().any(|r| kinds(r) != first) {
            places.push(Place {
                values,
                kind: Kind::Mixed,
            });
            continue;
        }
        for (k, kind) in first.into_iter().enumerate() {
            places.push(Place {
                values: runs.iter().map(|r| r[k]).collect(),
                kind,
            });
        }
    }
    places
}

/// Runs of digits and of other characters.
fn runs_of(text: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (run, more) = rest.split_at(end);
        runs.push(run);
        rest = more;
    }
    runs
}

fn kind(run: &str) -> Kind {
    if run.starts_with(|c: char| c.is_ascii_digit()) {
        Kind::Digits
    } else {
        Kind::Letters
    }
}

impl Place<'_> {
    fn varies(&self) -> bool {
        self.values.iter().any(|v| *v != self.values[0])
    }

    fn distinct(&self) -> usize {
        self.values.iter().collect::<BTreeSet<_>>().len()
    }
}

/// What a place that varies is called, from the outermost group inwards.
#[derive(Clone)]
struct Role {
    names: Vec<(String, bool)>,
}

fn roles(places: &[Place<'_>], files: usize) -> Vec<Option<Role>> {
    let mut roles: Vec<Option<Role>> = vec![None; places.len()];
    let mut taken = BTreeSet::new();
    let mut free = |wanted: String| {
        let mut name = wanted.clone();
        let mut n = 2;
        while !taken.insert(name.clone()) {
            name = format!("{wanted}{n}");
            n += 1;
        }
        name
    };
    let few = |p: &Place<'_>| p.varies() && (p.distinct() <= files / 2 || files <= 4) && p.distinct() <= 50;
    let texts: Vec<usize> = (0..places.len())
        .filter(|&i| matches!(places[i].kind, Kind::Letters | Kind::Mixed | Kind::Folder) && few(&places[i]))
        .collect();
    let class = texts.last().copied();
    let mut domain = texts.first().copied().filter(|first| Some(*first) != class);
    for i in 0..places.len() {
        let place = &places[i];
        if !place.varies() || place.kind == Kind::Between {
            continue;
        }
        let name = if Some(i) == class {
            ("class".to_owned(), true)
        } else if Some(i) == domain {
            ("domain".to_owned(), true)
        } else if place.kind == Kind::Digits {
            let word = |at: Option<usize>| {
                let neighbour = places.get(at?)?;
                let text = neighbour.values[0].to_lowercase();
                let plain = text.bytes().all(|b| b.is_ascii_lowercase()) && text.len() > 1;
                (!neighbour.varies() && neighbour.kind == Kind::Letters && plain).then_some(text)
            };
            match word(i.checked_sub(1)).or_else(|| word(Some(i + 1))) {
                // a speed is above 0, so this is none
                Some(text) if text == "rpm" && place.values.iter().any(|v| v.bytes().all(|b| b == b'0')) => {
                    ("rpm_number".into(), true)
                }
                // a key of a recording may not be an attribute's name
                Some(text)
                    if [
                        "file",
                        "class",
                        "domain",
                        "unit",
                        "geometry",
                        "channels",
                        "bytes",
                        "attributes",
                    ]
                    .contains(&&*text) =>
                {
                    (format!("{text}_number"), true)
                }
                Some(text) => (text, true),
                None if place.distinct() == files => ("number".into(), true),
                None => (format!("n{}", i + 1), true),
            }
        } else {
            (format!("text{}", i + 1), true)
        };
        roles[i] = Some(Role {
            names: vec![(free(name.0), name.1)],
        });
    }
    // without a text for the domain, a number that several files share
    if domain.is_none() {
        domain = (0..places.len())
            .find(|&i| places[i].kind == Kind::Digits && few(&places[i]) && places[i].distinct() < files);
        if let Some(role) = domain.and_then(|i| roles[i].as_mut()) {
            role.names.insert(0, (free("domain".into()), true));
        }
    }
    roles
}

/// The pattern, from the start of the path to the end of its stem.
fn pattern(places: &[Place<'_>], roles: &[Option<Role>]) -> String {
    let mut out = String::from("^");
    for (place, role) in places.iter().zip(roles) {
        let Some(role) = role else {
            out += &regex::escape(place.values[0]);
            continue;
        };
        let inner = match place.kind {
            Kind::Digits => r"\d+",
            Kind::Letters => r"[^\d\W_]+",
            Kind::Mixed | Kind::Between => r"[^\W_]+",
            Kind::Folder => "[^/]+",
        };
        let (open, close): (String, String) = role
            .names
            .iter()
            .fold((String::new(), String::new()), |(open, close), (name, _)| {
                (format!("{open}(?<{name}>"), format!("{close})"))
            });
        out += &format!("{open}{inner}{close}");
    }
    out + r"\.?[^./]*$"
}
