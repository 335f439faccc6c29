//! The language of queries: what is true of a recording, and where a query is wrong.

use std::collections::BTreeMap;

use signal_domains::{Attribute, Error, Query};

fn recording() -> BTreeMap<&'static str, Attribute> {
    [
        ("rig", Attribute::Text("mfs".into())),
        ("rpm", Attribute::Number(900.0)),
        ("size", Attribute::Number(0.007)),
        ("new", Attribute::Flag(true)),
        ("load", Attribute::Text("300".into())),
        ("file", Attribute::Text("mfs/IR5_900.mat".into())),
        ("a b", Attribute::Number(-2e-3)),
    ]
    .into()
}

fn truth(query: &str) -> Option<bool> {
    let query: Query = query.parse().unwrap_or_else(|e| panic!("{e}"));
    query
        .truth(|name| recording().get(name).cloned())
        .unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn queries_mean_what_they_say() {
    for (query, expected) in [
        (r#"rig == "mfs" and rpm > 800"#, true),
        ("size in [0.007, 0.014]", true),
        ("size not in [0.007, 0.014]", false),
        ("not size in [0.021]", true),
        ("rpm >= 900 and rpm <= 900 and not rpm < 900 and not rpm > 900", true),
        ("rpm != 900 or rig != 'mfs'", false),
        // `and` binds before `or`, `not` before `and`
        ("true or false and false", true),
        ("(true or false) and false", false),
        ("not false and false", false),
        ("not (false and false)", true),
        ("not not new", true),
        ("new", true),
        ("new == false", false),
        ("new in [false, true]", true),
        ("600 < rpm", true),
        ("`a b` == -0.002", true),
        (r#"rig == "m\fs" and "it's" == 'it\'s'"#, true),
        ("file like 'mfs/*' and file not like '*.csv'", true),
        ("load == '300'", true),
        ("\n rpm\t==\n900 ", true),
    ] {
        assert_eq!(truth(query), Some(expected), "{query}");
    }
}

#[test]
fn what_is_not_stated_is_unknown_and_not_false() {
    for query in [
        "gone == 1",
        "not gone == 1",
        "gone in [1]",
        "gone not in [1]",
        "gone",
        "gone like '*'",
        "gone == 1 and rpm == 900",
        "gone == 1 or rpm == 1",
    ] {
        assert_eq!(truth(query), None, "{query}");
    }
    assert_eq!(truth("gone == 1 or rpm == 900"), Some(true));
    assert_eq!(truth("gone == 1 and rpm == 1"), Some(false));
}

#[test]
fn a_query_that_cannot_be_read_is_told_by_line_and_column() {
    let deep = "(".repeat(100);
    for (query, place, words) in [
        ("rpm = 900", (1, 5), "did you mean `==`?"),
        ("rpm > 1 &&\n new", (1, 9), "did you mean `and`?"),
        ("new and\n  || new", (2, 3), "did you mean `or`?"),
        ("!new", (1, 1), "did you mean `not`?"),
        ("600 < rpm < 900", (1, 11), "joined by `and`"),
        ("rpm == 1.2.3", (1, 8), "no number"),
        ("rpm == 1e999", (1, 8), "no number"),
        ("rig == \"mfs", (1, 8), "\" is not closed"),
        ("rig == \"mfs\\", (1, 8), "\" is not closed"),
        ("(rpm > 1", (1, 9), "expected \")\", found the end"),
        ("", (1, 1), "found the end"),
        ("rpm >", (1, 6), "found the end"),
        ("and rpm > 1", (1, 1), "found `and`"),
        ("size in 0.007", (1, 9), "expected \"[\""),
        ("size in [0.007 0.014]", (1, 16), "expected \",\" or \"]\""),
        ("size in []", (1, 10), "expected a value"),
        ("rig in [mfs]", (1, 9), "a text stands between quotes"),
        ("rig like mfs", (1, 10), "expected a glob"),
        ("rig like '[a'", (1, 10), "no glob"),
        ("rig not 3", (1, 9), "expected `in` or `like`"),
        ("new new", (1, 5), "expected `and`, `or` or the end"),
        ("rpm > 1 # fast", (1, 9), "'#' is no part"),
        (&deep, (1, 65), "more than 64"),
    ] {
        match query.parse::<Query>() {
            Err(Error::Query {
                line, column, message, ..
            }) => {
                assert_eq!((line, column), place, "{query}: {message}");
                assert!(message.contains(words), "{query}: {message}");
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn values_of_different_kinds_are_never_compared_quietly() {
    for (query, column, words) in [
        ("load == 300", 6, "load is the text \"300\", the number 300"),
        ("true or load == 300", 14, "different kinds"),
        ("load in ['300', 3]", 6, "different kinds"),
        ("new == 'yes'", 5, "different kinds"),
        ("rig < 'z'", 5, "\"<\" needs numbers, rig is the text \"mfs\""),
        ("rpm", 1, "neither true nor false"),
        ("rpm like '9*'", 5, "`like` needs a text"),
    ] {
        let error = query
            .parse::<Query>()
            .unwrap()
            .truth(|name| recording().get(name).cloned());
        match error {
            Err(Error::Query { column: c, message, .. }) => {
                assert!(message.contains(words), "{query}: {message}");
                assert_eq!(c, column, "{query}: {message}");
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_name_is_told_with_the_nearest_known() {
    let known = ["rig", "rpm", "size"];
    let query: Query = "rig == 'a' and\n sise > 3".parse().unwrap();
    assert_eq!(query.names(), ["rig", "sise"]);
    let message = query.check_names(&known).unwrap_err().to_string();
    assert!(
        message.contains("line 2, column 2") && message.contains("did you mean \"size\"?"),
        "{message}"
    );
    let far: Query = "temperature > 3".parse().unwrap();
    let message = far.check_names(&known).unwrap_err().to_string();
    assert!(message.contains("names are rig, rpm, size"), "{message}");
    assert!(
        "size > 3 or rig == `rig`"
            .parse::<Query>()
            .unwrap()
            .check_names(&known)
            .is_ok()
    );
}

/// No text makes the reader of queries fail in any other way than by an error.
#[test]
fn any_text_is_a_query_or_an_error() {
    let words = [
        "rpm", "(", ")", "[", "]", "and", "or", "not", "in", "like", "==", "<", "=", "'", "\"", "`", "\\", "1", "-",
        ".", "e", "é", "\n", " ", ",", "true", "'a'", "[1]",
    ];
    let mut state = 7u64;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut read = 0;
    for _ in 0..20_000 {
        let text: String = (0..=next(9)).flat_map(|_| [words[next(words.len())], " "]).collect();
        if let Ok(query) = text.parse::<Query>() {
            read += 1;
            let _ = query.truth(|name| recording().get(name).cloned());
        }
    }
    assert!(read > 100, "{read}");
}
