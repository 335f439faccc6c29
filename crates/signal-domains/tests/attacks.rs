//! One file for each idea of an attack (`attacks/make.py`): each ends in an error with the words below, or is read for
//! what it holds and no more.

use std::path::Path;

use signal_domains::{ReadOptions, SignalFile};

/// File and what its error says; nothing where it is read.
const ATTACKS: [(&str, &str); 29] = [
    ("shape_beyond_the_file.npy", "needs 8000000000 bytes, but 80 follow"),
    ("shape_beyond_64_bits.npy", "more than can be counted"),
    ("shape_of_no_type.npy", "holds no real numbers"),
    ("shape_beyond_numbers.npy", "the file is damaged"),
    ("shape_of_many_extents.npy", "the file is damaged"),
    ("header_beyond_the_file.npy", "a header of 4294967295 bytes"),
    ("header_of_brackets.npy", "the file is damaged"),
    ("pickle.npy", "never read"),
    ("inflates_to_more.npz", "more came out"),
    ("names_elsewhere.npz", ""),
    ("a_hundred_names.npz", ""),
    ("list_beyond_the_file.npz", "is not in the file"),
    ("objects_without_end.tdms", "needs 4 bytes, but only 0 are left"),
    (
        "name_beyond_the_file.tdms",
        "the path of an object needs 4294967280 bytes",
    ),
    ("segment_beyond_64_bits.tdms", "cut short or damaged"),
    ("values_beyond_64_bits.tdms", "that cannot be"),
    ("texts_beyond_64_bits.tdms", "that cannot be"),
    ("chunks_of_nothing.tdms", "belong to no channel"),
    ("lists_that_multiply.tdms", "more arrays than are listed"),
    ("one_line_packed.gz", "a line of more than 131072 bytes"),
    ("gzip_in_gzip.gz", "is not UTF-8"),
    ("five_thousand_columns.csv", "5000 columns"),
    ("half_a_character.txt", "is not UTF-16"),
    ("quote_without_end.csv", ""),
    ("points_beyond_the_file.uff", "lines early"),
    (
        "bytes_beyond_the_file.uff",
        "a function's values needs 7999999992 bytes",
    ),
    ("samples_beyond_the_file.flac", "68719476735 samples"),
    ("zeros_for_frames.flac", "no frame starts"),
    ("code_without_end.flac", "ends within a frame"),
];

/// The same for files of columns; a build that does not read them says so.
const TABLES: [(&str, &str); 15] = [
    (
        "groups_beyond_the_file.parquet",
        "a list of more elements than bytes are left",
    ),
    ("records_without_end.parquet", "too deep"),
    ("column_beyond_the_file.parquet", "outside the file"),
    (
        "page_beyond_the_column.parquet",
        "a page of 80 bytes, of which 0 are left",
    ),
    (
        "page_of_two_gigabytes.parquet",
        "a page of 2147483647 bytes for 10 values",
    ),
    ("page_that_unpacks_to_more.parquet", "81 bytes instead of 80"),
    (
        "run_of_two_billion.parquet",
        "1073741823 values, more than a file of this size can hold",
    ),
    ("place_beyond_the_dictionary.parquet", "whose values cannot be decoded"),
    ("page_without_its_dictionary.parquet", "whose values cannot be decoded"),
    ("rows_beyond_the_file.arrows", "needs 44000000000000 bytes"),
    ("buffer_beyond_the_rows.arrows", "do not fit together"),
    (
        "values_beyond_the_buffer.arrows",
        "a buffer of fewer values than are stated",
    ),
    ("rows_beyond_64_bits.arrows", "more than a file of this size can hold"),
    (
        "buffer_that_unpacks_to_petabytes.arrows",
        "a buffer of more values than are stated",
    ),
    ("structs_that_multiply.arrows", "more columns than are listed"),
];

#[test]
fn each_attack_ends_as_it_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    let tables = TABLES.map(|(name, words)| {
        let read = cfg!(feature = "parquet");
        (name, if read { words } else { "--features parquet" })
    });
    for (name, words) in ATTACKS.into_iter().chain(tables) {
        let path = folder.join(name);
        let read = SignalFile::open(&path, &ReadOptions::default()).and_then(|file| {
            let mut samples = 0;
            for index in 0..file.variables().len() {
                samples += file.read(index)?.concat().len();
            }
            Ok((samples, file.variables().len()))
        });
        match read {
            Ok((samples, variables)) => {
                assert!(
                    words.is_empty(),
                    "{name} was read: {variables} variables, {samples} samples"
                );
            }
            Err(e) => assert!(!words.is_empty() && e.to_string().contains(words), "{e}"),
        }
    }
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(
        files,
        ATTACKS.len() + TABLES.len() + 1,
        "each file but the script of the folder is named here"
    );
}
